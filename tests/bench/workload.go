package main

import (
	"slices"
	"strings"
	"time"
)

// workload is one kind of load, the same for every peer.
type workload struct {
	name  string
	title string
	// path is the last segment of the URL.
	path        string
	connections int
	// upload is the size of the request body in bytes, 0 for GET.
	upload int
	// expect is the size of the response body in bytes.
	expect int
	// least is the shortest sensible round; 0: as asked.
	least time.Duration
	// warm is how long the load runs before the clocks are read.
	warm time.Duration
	// servers has it alone, with so many times the rounds; empty: all. What they differ
	// by is less than one round moves by.
	servers []string
	times   int
}

// serves says whether the server takes part.
func (w workload) serves(p peer) bool {
	if len(w.servers) > 0 {
		return slices.Contains(w.servers, p.name)
	}
	return !strings.Contains(p.without, w.name)
}

const helloSize = 13

func workloads() []workload {
	const warm = 150 * time.Millisecond
	return []workload{
		{name: "hello-1", title: "hello, 1 connection", path: "hello", connections: 1, expect: helloSize, warm: warm},
		{name: "hello-16", title: "hello, 16 connections", path: "hello", connections: 16, expect: helloSize, warm: warm},
		{name: "hello-16-observed", title: "hello, 16 connections, eight times the rounds", path: "hello", connections: 16, expect: helloSize, warm: warm,
			servers: []string{"wsgid", observed}, times: 8},
		{name: "hello-64", title: "hello, 64 connections", path: "hello", connections: 64, expect: helloSize, warm: warm},
		{name: "stream", title: "1 MiB streamed in 64 KiB chunks, 4 connections", path: "stream", connections: 4, expect: 1 << 20, warm: warm},
		{name: "upload", title: "10 MiB upload, 4 connections", path: "upload", connections: 4, upload: 10 << 20, expect: helloSize, warm: warm},
		// 60 clients on 10 threads: one turn of all takes 600 ms.
		{name: "sleep", title: "100 ms sleep, 60 connections", path: "sleep", connections: 60, expect: helloSize, least: 3 * time.Second},
	}
}
