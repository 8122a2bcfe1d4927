// What any Node from 0.10 on does with files, watches, children and sockets; prints the same each time.
var fs = require('fs'), net = require('net'), child = require('child_process');

fs.mkdirSync('d');
fs.writeFileSync('d/a', 'hello');
fs.renameSync('d/a', 'd/b');
fs.symlinkSync('b', 'd/l');
fs.chmodSync('d/b', 384);
fs.utimesSync('d/b', 1e9, 1e9);
console.log(fs.readdirSync('d').join(), fs.readlinkSync('d/l'), fs.statSync('d/b').mode.toString(8));
console.log(fs.statSync('d/b').size, +fs.statSync('d/b').mtime, fs.existsSync('d/a'));

var watcher = fs.watch('d/b', function (event) {
    console.log('watched: ' + event);
    watcher.close();
    child.exec('echo from a child; exit 3', function (error, output) {
        console.log(error.code, output.trim());
        serve();
    });
});
fs.appendFileSync('d/b', ' again');

function serve() {
    var server = net.createServer(function (socket) { socket.end('bye'); });
    server.listen(0, '127.0.0.1', function () {
        net.connect(server.address().port, '127.0.0.1').on('data', function (data) {
            console.log('net: ' + data);
            server.close();
            fs.readFile('d/b', 'utf8', function (error, text) {
                console.log(error, text);
                fs.unlinkSync('d/b');
                fs.unlinkSync('d/l');
                fs.rmdirSync('d');
            });
        });
    });
}
