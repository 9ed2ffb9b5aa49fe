package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bed is the test bed: both Apaches and all back ends, running.
type bed struct {
	fronts   map[string]*httpd
	backends map[string]*process
	control  string // socket of the wsgid whose metrics are read
}

// startBed starts what the peers need.
func startBed(s *site, chosen []peer) (*bed, error) {
	b := &bed{fronts: map[string]*httpd{}, backends: map[string]*process{}, control: s.socket(observed + "-control")}
	conf := map[string]string{}
	for _, p := range chosen {
		if p.front == frontWSGI && conf[p.front] == "" && !strings.Contains(p.conf, modWSGIDaemon) {
			conf[p.front] = modWSGIDaemon // its owner was not chosen
		}
		conf[p.front] += p.conf
		if p.backend == "" || b.backends[p.backend] != nil {
			continue
		}
		started, err := startBackend(s, p.backend)
		if err != nil {
			b.stop()
			return nil, err
		}
		b.backends[p.backend] = started
	}
	user := ""
	if s.user != "" {
		user = "user=" + s.user + " group=" + s.user
	}
	for name, text := range conf {
		load := proxyModules
		if name == frontWSGI {
			load = wsgiModules
		}
		started, err := startHTTPD(s, name, load, strings.ReplaceAll(text, "${mod_wsgi_user}", user))
		if err != nil {
			b.stop()
			return nil, err
		}
		b.fronts[name] = started
	}
	return b, nil
}

// stop ends everything, the fronts first.
func (b *bed) stop() {
	for _, f := range b.fronts {
		f.stop()
	}
	for _, p := range b.backends {
		p.stop()
	}
}

// servers returns the processes of a peer: Apache's own, and those behind it.
// mod_wsgi's daemons are children of Apache and count as behind.
func (b *bed) servers(p peer) (front, back []int, err error) {
	all, err := tree(b.fronts[p.front].pid())
	if err != nil {
		return nil, nil, err
	}
	for _, pid := range all {
		if strings.HasPrefix(commandLine(pid), "(wsgi:") {
			back = append(back, pid)
		} else {
			front = append(front, pid)
		}
	}
	if p.backend != "" {
		behind, err := tree(b.backends[p.backend].pid())
		if err != nil {
			return nil, nil, err
		}
		back = append(back, behind...)
	}
	return front, back, nil
}

// verify waits until the peer answers, and checks that it is the peer's own
// processes that do.
func (b *bed) verify(ctx context.Context, p peer) error {
	url := fmt.Sprintf("http://127.0.0.1:%d/%s/", b.fronts[p.front].port, p.name)
	if p.backend == "floor" {
		_, err := get(ctx, url+"hello")
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for {
		body, err := get(ctx, url+"who")
		if err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(body))
			if err != nil {
				return fmt.Errorf("%s answers %q", p.name, body)
			}
			_, back, err := b.servers(p)
			if err != nil {
				return err
			}
			if !slices.Contains(back, pid) {
				return fmt.Errorf("%s was answered by process %d (%s), none of its own %v", p.name, pid, commandLine(pid), back)
			}
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			words := ""
			if proc := b.backends[p.backend]; proc != nil {
				words = "\n" + proc.lastWords()
			}
			return fmt.Errorf("%s does not answer: %w%s", p.name, err, words)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), nil
}
