package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// lookOn reads the metrics of a wsgid every second, as Prometheus does at its busiest.
// The first time is after half of one: a round of a second has one reading in it. The
// returned function ends it, and says what went wrong.
func lookOn(ctx context.Context, control string) func() error {
	ctx, cancel := context.WithCancel(ctx)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", control)
	}}}
	done := make(chan error, 1)
	go func() {
		defer client.CloseIdleConnections()
		timer := time.NewTimer(time.Second / 2)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
				timer.Reset(time.Second)
			case <-ctx.Done():
				done <- nil
				return
			}
			if err := readMetrics(ctx, client); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
	}()
	return func() error {
		cancel()
		return <-done
	}
}

func readMetrics(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://wsgid/metrics", nil)
	if err != nil {
		return fmt.Errorf("ask for metrics: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for metrics: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("read metrics: %s: %w", response.Status, err)
	}
	return nil
}
