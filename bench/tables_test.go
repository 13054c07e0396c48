// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"example.org/logsoftmax/bench/internal/sweep"
)

// fixture is small and made up: a slower peer, a faster one, and an absent one.
func fixture() *Results {
	timing := func(op Op, threads int, peer string, median float64) Timing {
		return Timing{
			Op: op, Shape: Shape{Rows: 4096, Cols: 10}, Threads: threads, Peer: peer, Samples: 31,
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
			{Name: "gonum Mul"},
			{Name: "Away", Absent: "not installed"},
		},
		Speed: []Timing{
			timing(LogSoftmaxRows, 1, ownName, 0.5), timing(LogSoftmaxRows, 1, "copy", 0.25), timing(LogSoftmaxRows, 1, "slow", 6),
			timing(CrossEntropyGrad, 1, ownName, 1), timing(CrossEntropyGrad, 1, "slow", 123.4), timing(CrossEntropyGrad, 1, "fast", 0.8),
			timing(LogSoftmaxRows, 2, ownName, 0.25),
			{Op: LinearGrad, Shape: Shape{1000, 100, 50}, Threads: 1, Peer: ownName, Samples: 1, Median: 10},
			{Op: LinearGrad, Shape: Shape{1000, 100, 50}, Threads: 1, Peer: "gonum Mul", Samples: 1, Median: 40},
		},
		Memory: []Memory{{LinearGrad, Shape{1000, 100, 50}, ownName, 1234567}},
		Errors: []SampleError{
			{LargestLogProb, "N(0, 1)", ownName, 1.5},
			{LargestLogProb, "N(0, 1)", "slow", 123},
			{LargestLogProb, dominantSample, ownName, 1.2},
			{LargestLogProb, dominantSample, "slow", 9e15},
			{OtherGradient, "N(0, 1)", ownName, 0.5},
			{OtherGradient, "N(0, 1)", "fast", -1},
		},
		Zeros: []ZeroLoss{{ownName, 0, 100}, {"slow", 95, 100}},
		Gaps:  []GapError{{ownName, 1, 0.5}, {ownName, 500, 1.25}, {"slow", 1, 3}, {"slow", 500, 9e15}},
		Hard:  []HardRow{{"0, -50", ownName, ""}, {"0, -50", "slow", "0 for -1.93e-22"}},
		Sweep: []SweepRow{
			{Job: "LogSoftmax", Layout: sweep.Dense, Size: 1 << 17, Rows: []int{65536, 131}, Cols: []int{2, 1000}, Ours: []float64{2, 1}, Loop: []float64{10, 12}},
			{Job: "LogSoftmax", Layout: sweep.Transposed, Size: 1 << 17, Rows: []int{65536}, Cols: []int{2}, Ours: []float64{5}, Loop: []float64{50}},
			{Job: "LogSoftmax", Layout: sweep.Dense, Size: sweep.Small, Rows: []int{1}, Cols: []int{10}, Ours: []float64{5}, Loop: []float64{4}},
		},
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
		"### LogSoftmax, dim 1",
		"| rows × classes | 4096×10 |",
		"| this package | **0.50** ±2% |",
		"| copy | 0.25 ±2% (0.50×) |",
		"| slow | 6.00 ±2% (12.0×) |",
		"### CrossEntropy with gradient",
		"| this package | 1.00 ±2% |",
		"| slow | 123 ±2% (123×) |",
		"| fast | **0.80** ±2% (0.80×) |",
		"### LogSoftmax, dim 1, 2 threads",
		"| rows × features × classes | 1000×50×100 |",
		"| this package | **1.00**, 20.0 |",
		"| gonum Mul | 4.00, 5.00 (4.00×) |",
		"### Memory of the same",
		"| this package | 1.2 |",
		"| slow | v1.2.3 | as documented |",
		"| Away |  | not measured: not installed |",
	)
	for _, want := range []string{"Some CPU", "2026-01-02"} {
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
		"### Log-probability of the largest logit",
		"|  | N(0, 1) | one dominant logit | losses of 0 |",
		"| this package | 1.5 | 1.2 | 0 of 100 |",
		"| slow | 123 | 9e15 | 95 of 100 |",
		"### All other gradients",
		"| fast | not finite |",
		"|  | 0, -50 |",
		"| this package | ✓ |",
		"| slow | 0 for -1.93e-22 |",
	)
}

func TestSummaries(t *testing.T) {
	r := fixture()
	wantLines(t, speedSummary(r),
		"| LogSoftmax, dim 1, 4096×10 | **0.50** | – | – | – | – | – | – |",
		"`LinearCrossEntropyGrad` with the gradients of weights and bias, by rows × features × classes: 1000×50×100 20.0 GFLOP/s (gonum Mul 5.00).",
		"Beside the plain loop of the same job, over 2 combinations of operation, options, size and width from 2 to 50257 classes: 12.0 times as fast in the median, at least 5.0 times (LogSoftmax, 65536×2).",
	)
	wantLines(t, accuracySummary(r), "| this package | 1.5 | – | – | – | 0.5 | 0 of 100 |")
	wantLines(t, "\n"+speedSentence(r)+"\n\n"+gapSentence(r)+"\n")
	if s := speedSentence(fixtureWithLoop()); !strings.HasPrefix(s, "24.0 to 24.0 times as fast as the loop over `math.Exp`, and 0.80 to 12.0 times as fast as the fastest of all others, in the 2 combinations of operation and shape that were timed on one thread; slower than one of them in 1.") {
		t.Errorf("got %q", s)
	}
	if s := gapSentence(r); !strings.Contains(s, "at most 1.2 ulp here") || !strings.Contains(s, "from a lead of 1 on") {
		t.Errorf("got %q", s)
	}
}

func fixtureWithLoop() *Results {
	r := fixture()
	r.Peers = append(r.Peers, Peer{Name: "stable loop"})
	r.Speed = append(r.Speed, Timing{Op: LogSoftmaxRows, Shape: Shape{Rows: 4096, Cols: 10}, Threads: 1, Peer: "stable loop", Samples: 3, Median: 12})
	return r
}

func TestSweepSection(t *testing.T) {
	wantLines(t, sweepSection(fixture()),
		"|  | aim | 131072 elements |",
		"| LogSoftmax | 6 | 12.0, 5.0 at 2 |",
		"|  | 1×10 |",
		"| LogSoftmax | 50 (0.8) |",
		"2 of 4 cells: slower than the floor beside the plain loop.",
		"* LogSoftmax, transposed, 65536×2: 5.00 ns, dense 2.00: costs 2.50 times, at most 2",
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
