//go:build full

package tests

import "testing"

// TestCountersNeverDriftLong: many rounds.
func TestCountersNeverDriftLong(t *testing.T) { soakCounters(t, 25) }
