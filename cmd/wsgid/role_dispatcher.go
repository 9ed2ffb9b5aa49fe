package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/wsgid/wsgid/dispatch"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/pyshim"
)

// helperStopping is how long shutdown subscribers of scripts may take; the
// supervisor waits a little longer.
const helperStopping = time.Second

// dispatcherRole evaluates scripts for the router if this process was started
// to be the dispatch helper, and gives its exit code.
func dispatcherRole() (int, bool) {
	if pyshim.Role() != "dispatcher" {
		return 0, false
	}
	if err := runDispatcher(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed, true
	}
	return exitOK, true
}

// runDispatcher serves until SIGTERM.
func runDispatcher() error {
	channel, err := bootDescriptor("fd.status")
	if err != nil {
		return err
	}
	// One packet always finds room; without a supervisor there is nobody to tell.
	tell := func(words string) { _, _ = syscall.Write(channel, []byte(words)) }
	host, listener, router, err := startDispatcher()
	if err != nil {
		tell("event\x00failed\x00error\x00" + err.Error() + "\x00")
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	tell("event\x00started\x00python\x00" + host.Version() + "\x00")
	tell("event\x00ready\x00")
	if err := dispatch.ServeCalls(ctx, dispatch.HelperOptions{Listener: listener, RouterUID: router, Host: host}); err != nil {
		return err
	}
	told := make(chan struct{})
	go func() { // not waited for: a subscriber cannot be ended
		defer close(told)
		host.Stopping()
	}()
	select {
	case <-told:
	case <-time.After(helperStopping):
	}
	return nil
}

// startDispatcher loads Python and takes the socket.
func startDispatcher() (host dispatch.ScriptHost, listener *os.File, router int, err error) {
	// As in the router: what has to be done beside Python is little, and shall
	// not wander between cores.
	runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	fd, err := bootDescriptor("fd.listen")
	if err != nil {
		return nil, nil, 0, err
	}
	router, err = bootNumber("router_uid")
	if err != nil {
		return nil, nil, 0, err
	}
	interpreters, err := bootNumber("max_interpreters")
	if err != nil {
		return nil, nil, 0, err
	}
	python, _ := pyshim.BootValue("python")
	home, _ := pyshim.BootValue("python_home")
	freeThreading, _ := pyshim.BootValue("free_threading")
	host, err = startHost(wire.Embedded{
		Python: python, PythonHome: home, PythonPath: pyshim.BootList("python_path"),
		Variables: pyshim.BootList("python_variable"), Interpreters: pyshim.BootList("interpreter"),
		FreeThreading: freeThreading == "1", MaxInterpreters: interpreters,
	})
	if err != nil {
		return nil, nil, 0, err
	}
	return host, os.NewFile(uintptr(fd), "calls"), router, nil
}

// bootNumber gives a number of the boot block.
func bootNumber(name string) (int, error) {
	value, _ := pyshim.BootValue(name)
	number, err := strconv.Atoi(value)
	if err != nil {
		return 0, fmt.Errorf("the boot block has %s = %q", name, value)
	}
	return number, nil
}
