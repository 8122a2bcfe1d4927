// traps: the calls of inline_calls from Go, whose runtime sets its own handlers past every libc, from many
// goroutines at once; then a program of its arguments is run. Built by tests/trap.rs.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

const (
	ustat       = 136
	sysfs       = 139
	epollCreate = 213
)

func main() {
	var wait sync.WaitGroup
	var lock sync.Mutex
	right := 0
	for i := 0; i < 32; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := 0; j < 50; j++ {
				_, _, missing := syscall.RawSyscall(ustat, ^uintptr(0), 0, 0)
				types, _, _ := syscall.Syscall(sysfs, 3, 0, 0)
				descriptor, _, failed := syscall.Syscall(epollCreate, 1, 0, 0)
				if missing == syscall.EINVAL && types > 2 && failed == 0 {
					lock.Lock()
					right++
					lock.Unlock()
				}
				syscall.Close(int(descriptor))
			}
		}()
	}
	wait.Wait()
	fmt.Println("right:", right)
	if len(os.Args) > 1 {
		output, err := exec.Command(os.Args[1], os.Args[2:]...).CombinedOutput()
		fmt.Print(string(output))
		if err != nil {
			fmt.Println(err)
		}
	}
}
