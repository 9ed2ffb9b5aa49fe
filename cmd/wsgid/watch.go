package main

import (
	"context"
	"errors"
	"io"
	"time"
)

// errNoTerminal: what is written to is none.
var errNoTerminal = errors.New("no terminal")

// watching is something that is looked at again and again.
type watching struct {
	out      io.Writer
	interval time.Duration
	rounds   int                               // 0: until somebody ends it
	look     func(ctx context.Context) error   // asks wsgid
	draw     func(width int) ([]string, error) // what look has seen, for a screen so wide; 0: any
	key      func(key byte)                    // of the terminal; then it is drawn again
}

// watch looks and draws until the rounds are over, ctx ends or somebody presses q.
func watch(ctx context.Context, w watching) error {
	screen, err := openScreen(w.out)
	if err != nil {
		return err
	}
	defer screen.close()
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for round := 1; ; round++ {
		if err := w.look(ctx); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // somebody has ended it
			}
			return err
		}
		for waiting := true; waiting; {
			lines, err := w.draw(screen.width())
			if err != nil {
				return err
			}
			if err := screen.show(lines); err != nil {
				return err
			}
			if round == w.rounds {
				return nil
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				waiting = false
			case key := <-screen.keys:
				if key == 'q' {
					return nil
				}
				w.key(key)
			}
		}
	}
}
