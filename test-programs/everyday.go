// everyday: files, folders, children, threads and the time from Go, whose runtime makes its calls itself. Built by
// tests/check_truth.rs.
package main

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

func check(what string, err error) {
	if err != nil {
		fmt.Println(what, err)
		os.Exit(1)
	}
	fmt.Println(what, "right")
}

func main() {
	folder, err := os.MkdirTemp("", "everyday")
	check("folder", err)
	defer os.RemoveAll(folder)
	check("write", os.WriteFile(folder+"/file", []byte("text"), 0o600))
	_, err = os.Stat(folder + "/file")
	check("stat", err)
	check("rename", os.Rename(folder+"/file", folder+"/moved"))
	entries, err := os.ReadDir(folder)
	check("list", err)
	fmt.Println(len(entries))
	var wait sync.WaitGroup
	for i := 0; i < 16; i++ {
		wait.Add(1)
		go func() {
			time.Sleep(time.Millisecond)
			wait.Done()
		}()
	}
	wait.Wait()
	listener, err := net.Listen("unix", folder+"/socket")
	check("listen", err)
	go func() { net.Dial("unix", folder+"/socket") }()
	_, err = listener.Accept()
	check("accept", err)
	check("clock", nil)
}
