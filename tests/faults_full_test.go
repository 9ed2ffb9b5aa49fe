//go:build full

package tests

import "testing"

// TestFaultsFull is TestFaults, each fault several times.
func TestFaultsFull(t *testing.T) { testFaults(t, 6) }
