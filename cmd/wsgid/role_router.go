package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/dispatch"
	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/internal/threads"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/pyshim"
)

// routerRole runs the router if this process was started to be it, and gives
// its exit code.
func routerRole() (int, bool) {
	if pyshim.Role() != "router" {
		return 0, false
	}
	// The supervisor reads descriptor 2: hclog's JSON lines are records.
	// One that is stopped must not hold requests up.
	logger, end := logwriter.Logger(hclog.LoggerOptions{Level: hclog.Info, JSONFormat: true}, os.Stderr, nil)
	defer end()
	if err := runRouter(logger); err != nil {
		logger.Error("router failed", "error", err)
		return exitFailed, true
	}
	return exitOK, true
}

// runRouter serves until the supervisor ends it, over the wire or with a signal.
func runRouter(logger hclog.Logger) error {
	fd, err := bootDescriptor("fd.wire")
	if err != nil {
		return err
	}
	// Non-blocking, so that closing it ends a read that is under way.
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("preparing the wire to the supervisor: %w", err)
	}
	var handover [2]*os.File
	for i, name := range []string{"fd.handover_send", "fd.handover_receive"} {
		if _, ok := pyshim.BootValue(name); !ok {
			continue // a router that listens nowhere
		}
		fd, err := bootDescriptor(name)
		if err != nil {
			return err
		}
		handover[i] = os.NewFile(uintptr(fd), name)
	}
	threads.Reserve(threads.Spare)
	// A relay's work is system calls and waiting, and the front server and the
	// workers want the processors as well. With as many runtime processors as
	// cores each event wakes another thread and requests wander between cores;
	// half of them is still twice the router's share of the work.
	runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	// The supervisor alone decides about the end; Ctrl-C in a terminal reaches
	// only the supervisor, SIGTERM without it comes from somebody else.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return dispatch.Run(ctx, dispatch.Options{
		Wire:      os.NewFile(uintptr(fd), "wire"),
		Logger:    logger,
		StartHost: startHost,

		HandoverSend:    handover[0],
		HandoverReceive: handover[1],
	})
}

// startHost loads Python into the router.
func startHost(embedded wire.Embedded) (dispatch.ScriptHost, error) {
	modules, err := bootDescriptor("fd.modules")
	if err != nil {
		return nil, err
	}
	log, err := bootDescriptor("fd.log")
	if err != nil {
		return nil, err
	}
	stacks, err := bootDescriptor("fd.stacks")
	if err != nil {
		return nil, err
	}
	return dispatch.StartPython(embedded, modules, log, stacks)
}

// bootDescriptor gives a descriptor that the boot block names.
func bootDescriptor(name string) (int, error) {
	value, ok := pyshim.BootValue(name)
	if !ok {
		return 0, fmt.Errorf("the boot block has no %s", name)
	}
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 0 {
		return 0, fmt.Errorf("the boot block has %s = %q", name, value)
	}
	return fd, nil
}
