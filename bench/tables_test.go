// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fixture is small and made up: a slower peer, a faster one, and an absent one.
func fixture() *Results {
	timing := func(op Op, threads int, peer string, median float64) Timing {
		return Timing{
			Op: op, Rows: 4, Cols: 10, Threads: threads, Peer: peer, Samples: 31,
			Min: 0.9 * median, P10: 0.98 * median, Median: median, P90: 1.02 * median, Max: 1.5 * median,
		}
	}
	return &Results{
		Date:    "2026-01-02",
		Machine: Machine{CPU: "Some CPU", Vector: "AVX2", L2: "2048K", Cores: 2, OS: "Some OS", Arch: "linux/amd64", Go: "go1.26"},
		Peers: []Peer{
			{Name: ownName},
			{Name: "copy", Floor: true, Note: "no result"},
			{Name: "slow", Version: "v1.2.3", Note: "as documented"},
			{Name: "fast"},
			{Name: "Away", Absent: "not installed"},
		},
		Speed: []Timing{
			timing(LogSoftmaxRows, 1, ownName, 0.5), timing(LogSoftmaxRows, 1, "copy", 0.25), timing(LogSoftmaxRows, 1, "slow", 6),
			timing(CrossEntropyGrad, 1, ownName, 1), timing(CrossEntropyGrad, 1, "slow", 123.4), timing(CrossEntropyGrad, 1, "fast", 0.8),
			timing(LogSoftmaxRows, 2, ownName, 0.25),
		},
		Errors: []SampleError{
			{"N(0, 1)", ownName, 1.5, 0.9, 0, 64},
			{"N(0, 1)", "slow", 123, -1, 0, 64},
			{dominantSample, ownName, 1.2, 0.5, 0, 100},
			{dominantSample, "slow", 9e15, 1, 95, 100},
		},
		Gaps: []GapError{{ownName, 1, 0.5}, {ownName, 500, 1.25}, {"slow", 1, 3}, {"slow", 500, 9e15}},
		Hard: []HardRow{{"0, -50", ownName, ""}, {"0, -50", "slow", "0 for -1.93e-22"}},
	}
}

func wantLines(t *testing.T, section string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(section, "\n"+l+"\n") {
			t.Errorf("no line %q in\n%s", l, section)
		}
	}
}

func TestSpeedSection(t *testing.T) {
	s := speedSection(fixture())
	wantLines(t, s,
		"| rows × classes | 4×10 |",
		"| **LogSoftmax, dim 1** |  |",
		"| this package | **0.50** ±2% |",
		"| copy | 0.25 ±2% (0.50×) |",
		"| slow | 6.00 ±2% (12.0×) |",
		"| **CrossEntropy with gradient** |  |",
		"| this package | 1.00 ±2% |",
		"| slow | 123 ±2% (123×) |",
		"| fast | **0.80** ±2% (0.80×) |",
		"| **LogSoftmax, dim 1, 2 threads** |  |",
	)
	for _, want := range []string{"Some CPU", "2026-01-02", "slow v1.2.3: as documented", "Away: not measured, not installed"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in\n%s", want, s)
		}
	}
	if strings.Contains(s, "dim 0") {
		t.Error("an operation that was not timed has a heading")
	}
}

func TestAccuracySection(t *testing.T) {
	wantLines(t, accuracySection(fixture()),
		"|  | N(0, 1) | one dominant logit | losses of 0 |",
		"| this package | 1.5 / 0.9 | 1.2 / 0.5 | 0 of 100 |",
		"| slow | 123 / not finite | 9e15 / 1.0 | 95 of 100 |",
		"|  | 0, -50 |",
		"| this package | ✓ |",
		"| slow | 0 for -1.93e-22 |",
	)
}

func TestResultsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	want := fixture()
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, wrote %+v", got, want)
	}
}
