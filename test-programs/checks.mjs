// A dozen checks of what Node takes from the kernel; a deterministic line each. usage: node checks.mjs
import { exec, spawn } from "node:child_process";
import crypto from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import zlib from "node:zlib";

const execute = promisify(exec);

/** Each check: its name and what it says. */
const checks = {
  async copyFile(folder) {
    const [from, to] = [path.join(folder, "from"), path.join(folder, "to")];
    fs.writeFileSync(from, "x".repeat(100_000));
    fs.chmodSync(from, 0o640);
    await fs.promises.copyFile(from, to);
    const again = await fs.promises.copyFile(from, to, fs.constants.COPYFILE_EXCL).catch((error) => error.code);
    return [fs.readFileSync(to).equals(fs.readFileSync(from)), (fs.statSync(to).mode & 0o777).toString(8), again];
  },
  async stat(folder) {
    const file = path.join(folder, "dated");
    fs.writeFileSync(file, "four");
    await fs.promises.utimes(file, 1_000_000_000.25, 1_100_000_000.5);
    const is = await fs.promises.stat(file, { bigint: true });
    const missing = await fs.promises.lstat(path.join(folder, "no")).catch((error) => error.code);
    return [is.size, is.atimeNs, is.mtimeNs, is.nlink, is.isFile(), is.ino > 0n, is.birthtimeNs >= 0n, missing];
  },
  async mkdtemp(folder) {
    const made = [0, 1].map(() => fs.mkdtempSync(path.join(folder, "made-")));
    return [made[0] !== made[1], (fs.statSync(made[0]).mode & 0o777).toString(8), path.basename(made[0]).length];
  },
  async workers() {
    const squares = [1, 2, 3, 4].map(async (number) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: number });
      const [[answer], [code]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
      return `${answer}/${code}`;
    });
    return Promise.all(squares);
  },
  async spawn() {
    const child = spawn("sh", ["-c", "cat; echo to-stderr >&2; exit 3"]);
    let [out, err] = ["", ""];
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (err += data));
    child.stdin.end("through a pipe");
    const [code, signal] = await once(child, "close");
    const missing = await once(spawn("no-such-program"), "error").then(([error]) => error.code);
    return [out, err.trim(), code, signal, missing];
  },
  async exec() {
    const { stdout } = await execute("echo $((6 * 7)); umask");
    const killed = await execute("sleep 60", { timeout: 50 }).catch((error) => error.signal);
    return [stdout.trim().split("\n")[0], killed];
  },
  async net() {
    const server = net.createServer((socket) => socket.pipe(socket));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const socket = net.connect(server.address().port, "127.0.0.1");
    let length = 0;
    socket.on("data", (data) => (length += data.length));
    socket.end("y".repeat(1_000_000));
    await once(socket, "close");
    await promisify(server.close.bind(server))();
    return [length];
  },
  async local(folder) {
    const server = net.createServer((socket) => socket.end("by a path"));
    await once(server.listen(path.join(folder, "socket")), "listening");
    const socket = net.connect(path.join(folder, "socket"));
    const [data] = await once(socket, "data");
    server.close();
    return [String(data)];
  },
  async random() {
    const [one, two] = [crypto.randomBytes(32), crypto.randomBytes(32)];
    return [one.length, !one.equals(two), crypto.randomUUID().length, crypto.randomInt(1, 2)];
  },
  async timers() {
    const before = process.hrtime.bigint();
    const order = [];
    await Promise.all([30, 10, 20].map((time) => sleep(time).then(() => order.push(time))));
    return [order, process.hrtime.bigint() - before >= 29_000_000n];
  },
  async zlib() {
    const data = Buffer.from("evercall ".repeat(10_000));
    const packed = await promisify(zlib.gzip)(data);
    const brotli = await promisify(zlib.brotliCompress)(data);
    return [packed.length < 1000, zlib.gunzipSync(packed).equals(data), zlib.brotliDecompressSync(brotli).equals(data)];
  },
  async watch(folder) {
    const watched = path.join(folder, "watched");
    fs.mkdirSync(watched);
    const watcher = fs.watch(watched);
    const change = once(watcher, "change");
    fs.writeFileSync(path.join(watched, "new"), "");
    const [event, name] = await change;
    watcher.close();
    return [event, name];
  },
  async usage() {
    const { maxRSS, userCPUTime } = process.resourceUsage();
    return [maxRSS > 1000, userCPUTime > 0, os.availableParallelism() > 0, os.uptime() > 0];
  },
  async files(folder) {
    const tree = path.join(folder, "tree");
    fs.mkdirSync(path.join(tree, "a/b"), { recursive: true });
    fs.symlinkSync("b", path.join(tree, "a/link"));
    fs.writeFileSync(path.join(tree, "a/b/file"), "z");
    fs.cpSync(tree, path.join(folder, "copied"), { recursive: true, verbatimSymlinks: true });
    fs.renameSync(path.join(folder, "copied"), path.join(folder, "moved"));
    const found = fs.readdirSync(path.join(folder, "moved"), { recursive: true }).sort();
    await fs.promises.rm(tree, { recursive: true });
    const access = await fs.promises.access(tree).catch((error) => error.code);
    const file = await fs.promises.open(path.join(folder, "moved/a/b/file"), "r+");
    await file.truncate(10);
    await file.datasync();
    const { size } = await file.stat();
    await file.close();
    return [found, access, size, (await fs.promises.statfs(folder)).bsize > 0];
  },
};

const shown = (value) => JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner));

if (isMainThread) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "checks-"));
  for (const [name, check] of Object.entries(checks)) {
    console.log(`${name}: ${await check(folder).then(shown, (error) => `${error.code ?? ""} ${error.message}`)}`);
  }
  fs.rmSync(folder, { recursive: true });
} else {
  parentPort.postMessage(workerData * workerData);
}
