// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build race

package kernel

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A conflict is a kernel beside which a goroutine reads or writes an operand
// that the kernel writes or reads. The race detector knows of what the kernels
// touch only by what their dispatchers tell it.
type conflict struct {
	row     *kernelRow
	operand string
	reads   bool // the kernel reads it
}

// conflicts are those of every kernel.
func conflicts() map[string]conflict {
	all := map[string]conflict{}
	for k := range kernels {
		row := &kernels[k]
		for _, operand := range strings.Fields(row.reads) {
			all[row.name+" reads "+operand] = conflict{row, operand, true}
		}
		for _, operand := range strings.Fields(row.writes) {
			all[row.name+" writes "+operand] = conflict{row, operand, false}
		}
	}
	return all
}

// TestRaceDetected has a process for each kernel and tier commit a data race,
// and expects the detector to see it.
func TestRaceDetected(t *testing.T) {
	if name := os.Getenv("LOGSOFTMAX_RACE"); name != "" {
		commitRace(t, name)
		return
	}
	for _, it := range Tiers() {
		for name := range conflicts() {
			if !detected(t, it.String()+": "+name) {
				t.Errorf("tier %v: no race was detected where %s an element that is written or read meanwhile", it, name)
			}
		}
	}
	if detected(t, best().String()+": nothing") {
		t.Error("a race was detected where there is none")
	}
}

// detected reports whether a process saw the named race.
func detected(t *testing.T, name string) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestRaceDetected$", "-test.v")
	cmd.Env = append(os.Environ(), "LOGSOFTMAX_RACE="+name, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	seen := strings.Contains(string(out), "WARNING: DATA RACE")
	if !seen && err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return seen
}

// commitRace commits the named race.
func commitRace(t *testing.T, name string) {
	tierName, name, _ := strings.Cut(name, ": ")
	i := slices.IndexFunc(Tiers(), func(it tier) bool { return it.String() == tierName })
	active = Tiers()[i]
	done := make(chan bool)
	if name == "nothing" {
		// Neighbours in one array.
		const stride, n = 72, 64
		x := make([]float64, n*stride)
		neighbours := func(x []float64) {
			ShiftBy(x[:32], x[:32], 1, -1)
			new(Panel).Shift(x, stride, x, stride, n, 4)
		}
		go func() {
			neighbours(x)
			close(done)
		}()
		neighbours(x[40:])
		<-done
		return
	}
	c := conflicts()[name]
	// Small, for the detector forgets what is long ago.
	s := kernelShape{n: 16, groups: 2, rows: 16, cols: 8, stride: Width}
	if c.row.layout == ofRows || c.row.layout == ofFewRows || c.row.layout == ofDenseRows {
		s.stride = s.cols
	}
	o := newOperands(rand.New(rand.NewPCG(37, 38)), c.row.layout, c.row.values, s, plain)
	middle := c.row.layout.middle(s)
	at := &o.memory()[c.operand][middle]
	// An entry whose coefficient is 0 need not be read.
	o.q[middle] = 1
	go func() {
		if c.reads {
			*at = 1
		} else {
			sink = *at
		}
		close(done)
	}()
	c.row.call(o)
	<-done
}
