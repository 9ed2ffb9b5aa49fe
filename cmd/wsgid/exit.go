package main

import (
	"errors"
	"fmt"
)

// Exit codes; the help of every verb lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitTimeout     = 4
)

// exitCodes is the part of the help about them.
const exitCodes = `Exit codes:
  0  done
  1  the configuration has errors, or the operation failed
  2  wrong usage: unknown verb, option or argument
  3  no wsgid could be reached on the control socket
  4  it did not happen within --timeout
`

// exitError is an error with the exit code it leads to.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// failf is an operation that failed.
func failf(format string, arguments ...any) error {
	return &exitError{exitFailed, fmt.Errorf(format, arguments...)}
}

// usagef is a mistake in how wsgid was called.
func usagef(format string, arguments ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, arguments...)}
}

// codeOf gives the exit code of an error that a command returned. What cobra
// itself complains about is wrong usage.
func codeOf(err error) int {
	if err == nil {
		return exitOK
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitUsage
}
