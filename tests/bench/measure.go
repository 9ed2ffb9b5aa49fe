package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// sample is one round of one peer under one workload.
type sample struct {
	rate      float64 // requests a second
	cpu, back float64 // µs of CPU a request: all servers; those behind Apache
	p50, p99  float64 // ms
	errors    int
	note      string          // what the first error was
	each      map[int]float64 // µs of CPU a request of each process behind Apache
}

// measure runs the load against the peer for d and reads the servers' clocks
// around it.
func (b *bed) measure(ctx context.Context, p peer, w workload, d time.Duration) (sample, error) {
	j := job{
		Port: b.fronts[p.front].port, Path: "/" + p.name + "/" + w.path,
		Connections: w.connections, Upload: w.upload, Expect: w.expect,
		Warm: w.warm, Duration: max(d, w.least),
	}
	run, err := startGenerator(ctx, j)
	if err != nil {
		return sample{}, err
	}
	defer run.end()
	front, back, err := b.servers(p)
	if err != nil {
		return sample{}, err
	}
	frontBefore, err := sampleCPU(front)
	if err != nil {
		return sample{}, err
	}
	backBefore, err := sampleCPU(back)
	if err != nil {
		return sample{}, err
	}
	looked := func() error { return nil }
	if p.name == observed {
		looked = lookOn(ctx, b.control)
	}
	o, err := run.measured()
	if err := errors.Join(err, looked()); err != nil {
		return sample{}, err
	}
	s := sample{
		rate:   float64(o.Finished) / o.Seconds,
		p50:    float64(o.P50) / float64(time.Millisecond),
		p99:    float64(o.P99) / float64(time.Millisecond),
		errors: o.Errors,
		note:   o.FirstError,
	}
	frontAfter, frontErr := sampleCPU(front)
	backAfter, backErr := sampleCPU(back)
	frontNow, backNow, err := b.servers(p)
	if err != nil {
		return sample{}, err
	}
	if frontErr != nil || backErr != nil || !slices.Equal(front, frontNow) || !slices.Equal(back, backNow) {
		// Its CPU time is gone with it: the round cannot be judged.
		s.errors++
		s.note = "a server process came or went"
		return s, nil
	}
	if o.Total > 0 {
		s.back = perRequest(backAfter.since(backBefore), o.Total)
		s.each = map[int]float64{}
		for pid := range backAfter {
			s.each[pid] = perRequest(backAfter[pid]-backBefore[pid], o.Total)
		}
		s.cpu = s.back + perRequest(frontAfter.since(frontBefore), o.Total)
	}
	return s, nil
}

func perRequest(d time.Duration, n int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}

// generation is a generator at work.
type generation struct {
	cmd   *exec.Cmd
	in    *json.Encoder
	lines *bufio.Reader
}

// startGenerator starts one and returns when it has warmed up.
func startGenerator(ctx context.Context, j job) (*generation, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", generateFlag)
	cmd.Env = generatorEnv()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the load generator: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the load generator: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the load generator: %w", err)
	}
	g := &generation{cmd: cmd, in: json.NewEncoder(in), lines: bufio.NewReader(out)}
	if err = g.in.Encode(j); err == nil {
		_, err = g.lines.ReadString('\n')
	}
	if err != nil {
		g.end()
		return nil, fmt.Errorf("warm up %s: %w", j.Path, err)
	}
	return g, nil
}

// measured starts the measured run and waits for its outcome.
func (g *generation) measured() (outcome, error) {
	var o outcome
	if err := g.in.Encode("go"); err != nil {
		return o, fmt.Errorf("start the load: %w", err)
	}
	line, err := g.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		return o, fmt.Errorf("read the load generator's outcome: %w", err)
	}
	return o, nil
}

// end waits for the generator, which has nothing left to do.
func (g *generation) end() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}
