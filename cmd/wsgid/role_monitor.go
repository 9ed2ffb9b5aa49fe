package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/internal/monitor"
	"github.com/wsgid/wsgid/pyshim"
)

// monitorRole serves metrics and health on TCP if this process was started to do so,
// and gives its exit code.
func monitorRole() (int, bool) {
	if pyshim.Role() != "monitor" {
		return 0, false
	}
	logger, end := logwriter.Logger(hclog.LoggerOptions{Level: hclog.Info, JSONFormat: true}, os.Stderr, nil)
	defer end()
	if err := runMonitor(logger); err != nil {
		logger.Error("monitor failed", "error", err)
		return exitFailed, true
	}
	return exitOK, true
}

// runMonitor serves until SIGTERM, or until the supervisor has gone.
func runMonitor(logger hclog.Logger) error {
	listener, err := bootFile("fd.listen", net.FileListener)
	if err != nil {
		return err
	}
	conn, err := bootFile("fd.wire", net.FileConn)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return monitor.Serve(ctx, listener, conn, logger) //nolint:wrapcheck // it says what it did
}

// bootFile makes something of a descriptor that the boot block names.
func bootFile[T any](name string, open func(*os.File) (T, error)) (T, error) {
	var nothing T
	fd, err := bootDescriptor(name)
	if err != nil {
		return nothing, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close() // there is a copy
	opened, err := open(file)
	if err != nil {
		return nothing, fmt.Errorf("%s of the boot block: %w", name, err)
	}
	return opened, nil
}
