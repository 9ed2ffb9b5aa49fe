// The benchmark (make bench): wsgid and its alternatives side by side behind
// the same Apache, on the same application file. It starts everything itself,
// on loopback and in a directory of its own, and ends it again by pid.
//
// It knows wsgid only from outside, as a program with a configuration file.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// generateFlag, as the only argument, makes the program a load generator.
const generateFlag = "-generate"

func main() {
	if slices.Equal(os.Args[1:], []string{generateFlag}) {
		if err := generate(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench: load generator:", err)
			os.Exit(1)
		}
		return
	}
	// Children get a signal when the thread that started them ends.
	runtime.LockOSThread()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		cancel()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds    int
	seconds   float64
	only      string
	workloads string
	write     string
	wsgid     string
	keep      bool
	verbose   bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "rounds of each server and workload")
	f.Float64Var(&o.seconds, "seconds", 1, "seconds a round lasts")
	f.StringVar(&o.only, "only", "", "servers to run, separated by commas (default all): "+strings.Join(peerNames(peers()), ","))
	f.StringVar(&o.workloads, "workloads", "", "workloads to run, separated by commas (default all): "+strings.Join(workloadNames(workloads()), ","))
	f.StringVar(&o.write, "write", "", "also write the page to this file, such as docs/benchmarks.md")
	f.StringVar(&o.wsgid, "wsgid", "bin/wsgid", "binary under test")
	f.BoolVar(&o.keep, "keep", false, "keep the directory with configurations and logs")
	f.BoolVar(&o.verbose, "verbose", false, "say how much CPU time each process behind Apache takes a request")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || o.rounds < 1 || o.seconds <= 0 {
		return fmt.Errorf("rounds and seconds must be positive, and there are no arguments beside flags: %q", f.Args())
	}
	chosen, err := choose(peers(), o.only, func(p peer) string { return p.name })
	if err != nil {
		return err
	}
	works, err := choose(workloads(), o.workloads, func(w workload) string { return w.name })
	if err != nil {
		return err
	}
	if o.wsgid, err = filepath.Abs(o.wsgid); err != nil {
		return fmt.Errorf("find wsgid: %w", err)
	}
	if err := missing(o.wsgid, chosen); err != nil {
		return err
	}
	level := hclog.Info
	if o.verbose {
		level = hclog.Debug
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "bench", Output: os.Stderr, Level: level})
	r, held, err := runAll(ctx, log, o, works, chosen)
	if err != nil {
		return err
	}
	var tables bytes.Buffer
	writeTables(&tables, r, works, chosen)
	writeMemory(&tables, held, chosen)
	writeBars(&tables, r)
	if _, err := out.Write(tables.Bytes()); err != nil {
		return fmt.Errorf("write the tables: %w", err)
	}
	if o.write == "" {
		return nil
	}
	return writePage(o.write, o.wsgid, append([]string{"go", "run", "./tests/bench"}, args...), tables.String())
}

// runAll starts the servers, runs every round, sees what the servers hold then,
// and ends them.
func runAll(ctx context.Context, log hclog.Logger, o options, works []workload, chosen []peer) (r results, held map[string]memory, err error) {
	s, err := newSite(o.wsgid)
	if err != nil {
		return nil, nil, err
	}
	if o.keep {
		log.Info("directory", "path", s.dir)
	} else {
		defer os.RemoveAll(s.dir)
	}
	b, err := startBed(s, chosen)
	if err != nil {
		return nil, nil, err
	}
	defer b.stop()
	for _, p := range chosen {
		if err := b.verify(ctx, p); err != nil {
			return nil, nil, err
		}
	}
	r = results{}
	for _, w := range works {
		log.Info("workload", "name", w.name)
		for round := range o.rounds * max(1, w.times) {
			// Each round begins with another server: what follows upon
			// what is not the same in all rounds.
			for i := range chosen {
				p := chosen[(i+round)%len(chosen)]
				if !w.serves(p) {
					continue
				}
				got, err := b.measure(ctx, p, w, time.Duration(o.seconds*float64(time.Second)))
				if ctx.Err() != nil {
					return nil, nil, ctx.Err()
				}
				if err != nil {
					return nil, nil, fmt.Errorf("measure %s, %s: %w", p.name, w.name, err)
				}
				if got.errors > 0 {
					log.Warn("errors", "server", p.name, "workload", w.name, "count", got.errors, "first", got.note)
				}
				for pid, used := range got.each {
					log.Debug("process", "server", p.name, "command", commandLine(pid), "pid", pid, "cpu_us", fmt.Sprintf("%.1f", used))
				}
				r.add(w, p, got)
			}
		}
	}
	held = map[string]memory{}
	for _, p := range chosen {
		if held[p.name], err = b.weigh(p); err != nil {
			return nil, nil, err
		}
	}
	return r, held, nil
}

// choose returns the items named in list, in their own order; all if it is empty.
func choose[T any](all []T, list string, name func(T) string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	wanted := strings.Split(list, ",")
	var chosen []T
	for _, item := range all {
		if i := slices.Index(wanted, name(item)); i >= 0 {
			chosen = append(chosen, item)
			wanted = slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("unknown name %q", wanted[0])
	}
	return chosen, nil
}

func peerNames(all []peer) (names []string) {
	for _, p := range all {
		names = append(names, p.name)
	}
	return names
}

func workloadNames(all []workload) (names []string) {
	for _, w := range all {
		names = append(names, w.name)
	}
	return names
}
