package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// screen is a terminal that is drawn anew with each look, or a stream that gets one
// after the other.
type screen struct {
	out      io.Writer
	terminal *os.File // nil: none
	before   *unix.Termios
	keys     chan byte // nil: none comes
}

// openScreen takes the terminal of standard input and output, if they are one. Its
// keys arrive one by one and are not shown.
func openScreen(out io.Writer) (*screen, error) {
	s := &screen{out: out}
	before, err := terminalOf(out)
	if errors.Is(err, errNoTerminal) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	raw := *before
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, &raw); err != nil {
		return nil, failf("preparing the terminal: %w", err)
	}
	s.terminal, s.before, s.keys = os.Stdin, before, make(chan byte)
	// Nobody waits for it: a read of a terminal cannot be ended, and the program does.
	go func() {
		key := make([]byte, 1)
		for {
			if n, err := os.Stdin.Read(key); n == 0 || err != nil {
				return
			}
			s.keys <- key[0]
		}
	}()
	return s, nil
}

// terminalOf gives the settings of the terminal; errNoTerminal.
func terminalOf(out io.Writer) (*unix.Termios, error) {
	if out != os.Stdout {
		return nil, errNoTerminal
	}
	if _, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS); err != nil {
		return nil, errNoTerminal
	}
	settings, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	if err != nil {
		return nil, errNoTerminal
	}
	return settings, nil
}

// width is that of the screen; 0: any.
func (s *screen) width() int {
	width := widthOf(s.out)
	if s.terminal != nil && width == 0 {
		return 80
	}
	return width
}

// leastWidth is what can still be read; in a terminal that is smaller the lines run on.
const leastWidth = 40

// widthOf is how long lines may be: as the terminal is wide or, where there is none, as
// COLUMNS says; 0: as they are.
func widthOf(out io.Writer) int {
	if out == os.Stdout {
		if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return max(int(size.Col), leastWidth)
		}
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return max(columns, leastWidth)
	}
	return 0
}

// show draws the lines: as many and as much of each as there is room for.
func (s *screen) show(lines []string) error {
	var text strings.Builder
	if s.terminal == nil {
		text.WriteString(strings.Join(lines, "\n") + "\n\n")
	} else {
		columns, rows := s.width(), 24
		if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil && size.Row > 1 {
			rows = int(size.Row)
		}
		text.WriteString("\x1b[H") // to the first column of the first row
		for _, line := range lines[:min(len(lines), rows-1)] {
			text.WriteString(shortened(line, columns) + "\x1b[K\n") // and nothing behind it
		}
		text.WriteString("\x1b[J") // nor below
	}
	if _, err := io.WriteString(s.out, text.String()); err != nil {
		return failf("writing: %w", fmt.Errorf("standard output: %w", err))
	}
	return nil
}

// close gives the terminal back as it was.
func (s *screen) close() {
	if s.terminal != nil {
		_ = unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, s.before) // it may have gone
	}
}
