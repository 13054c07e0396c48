// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build race

package logsoftmax

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// A conflict is a call beside which a goroutine reads or writes an element
// that the call writes or reads. The race detector knows of what the kernels
// touch only by what their dispatchers tell it.
type conflict struct {
	call  func(x, dst []float64)
	reads bool // x, otherwise it writes dst
}

const conflictCols, conflictRows = 72, 64

// conflicts are the kernels and, where they could tell the detector of more
// than they touch, functions on part of an array. x and dst are conflictRows
// rows of conflictCols entries.
var conflicts = func() map[string]conflict {
	const groups = columnsWidth / group
	zeros := func() []float64 { return make([]float64, 2000) }
	on := func(x []float64) *columns {
		c := new(columns)
		c.reset()
		columnsMaxGo(c, make([]float64, columnsWidth), columnsWidth, 1, groups)
		columnsFrameGo(c, groups)
		return c
	}
	return map[string]conflict{
		"maxOf reads":        {func(x, _ []float64) { maxOf(x[:2000]) }, true},
		"expSum reads":       {func(x, _ []float64) { expSum(nil, x[:2000], 1) }, true},
		"expSum writes":      {func(_, dst []float64) { expSum(dst[:2000], make([]float64, 2000), 0) }, false},
		"shiftBy reads":      {func(x, _ []float64) { shiftBy(make([]float64, 2000), x[:2000], 1, -1) }, true},
		"shiftBy writes":     {func(_, dst []float64) { shiftBy(dst[:2000], make([]float64, 2000), 1, -1) }, false},
		"shiftAway reads":    {func(x, _ []float64) { shiftAway(make([]float64, 2000), x[:2000], 1, -1) }, true},
		"shiftAway writes":   {func(_, dst []float64) { shiftAway(dst[:2000], make([]float64, 2000), 1, -1) }, false},
		"scaleAway reads":    {func(x, _ []float64) { scaleAway(make([]float64, 2000), x[:2000], 0.5) }, true},
		"scaleAway writes":   {func(_, dst []float64) { scaleAway(dst[:2000], make([]float64, 2000), 0.5) }, false},
		"columnsTotal reads": {func(x, _ []float64) { columnsTotal(on(x), nil, 0, x, conflictCols, conflictRows, groups) }, true},
		"columnsTotal writes": {func(_, dst []float64) {
			columnsTotal(on(nil), dst, conflictCols, make([]float64, len(dst)), conflictCols, conflictRows, groups)
		}, false},
		"scaleBy writes":                     {func(_, dst []float64) { scaleBy(dst[:2000], 0.5) }, false},
		"weightedLossSum reads":              {func(x, _ []float64) { weightedLossSum(zeros(), x[:2000], 1, -1) }, true},
		"weightedLossSum reads coefficients": {func(x, _ []float64) { weightedLossSum(x[:2000], zeros(), 1, -1) }, true},
		"weightedLossSums reads":             {func(x, _ []float64) { weightedLossSums(zeros(), x[:2000], 1, -1) }, true},
		"laneSum reads":                      {func(x, _ []float64) { laneSum(x[:2000]) }, true},
		"weightedGradient reads":             {func(x, _ []float64) { weightedGradient(zeros(), x[:2000], zeros(), factors{1, 0, 1}, accumulator{}, 1) }, true},
		"weightedGradient writes": {func(_, dst []float64) {
			weightedGradient(dst[:2000], zeros(), zeros(), factors{1, 0, 1}, accumulator{}, 1)
		}, false},
		"weightedGradientAway reads": {func(x, _ []float64) {
			weightedGradientAway(zeros(), zeros(), x[:2000], factors{1, 0, 1}, accumulator{}, 1)
		}, true},
		"weightedGradientAway writes": {func(_, dst []float64) {
			weightedGradientAway(dst[:2000], zeros(), zeros(), factors{1, 0, 1}, accumulator{}, 1)
		}, false},
		"areSoftTargets reads":         {func(x, _ []float64) { areSoftTargets(x[:2000]) }, true},
		"indexOf reads":                {func(x, _ []float64) { indexOf(x[:2000], 7) }, true},
		"vectorJacobianOf reads":       {func(x, _ []float64) { vectorJacobianOf(zeros(), zeros(), x[:2000], 1, 0) }, true},
		"vectorJacobianOf writes":      {func(_, dst []float64) { vectorJacobianOf(dst[:2000], zeros(), zeros(), 1, 0) }, false},
		"columnsVectorJacobian reads":  {func(x, _ []float64) { columnsVectorJacobian(zeros(), x[:2000], zeros(), zeros(), zeros(), 0, 0, 0) }, true},
		"columnsVectorJacobian writes": {func(_, dst []float64) { columnsVectorJacobian(dst[:2000], zeros(), zeros(), zeros(), zeros(), 0, 0, 0) }, false},
		"columnsAdd reads":             {func(x, _ []float64) { columnsAdd(on(x), x, conflictCols, conflictRows, columnsWidth) }, true},
		"columnsMax reads":             {func(x, _ []float64) { columnsMax(on(x), x, conflictCols, conflictRows, groups) }, true},
		"columnsExpSum reads":          {func(x, _ []float64) { columnsExpSum(on(x), nil, 0, x, conflictCols, conflictRows, groups) }, true},
		"columnsExpSum writes": {func(_, dst []float64) {
			columnsExpSum(on(nil), dst, conflictCols, make([]float64, len(dst)), conflictCols, conflictRows, groups)
		}, false},
		"columnsShift reads": {func(x, _ []float64) {
			columnsShift(on(x), make([]float64, len(x)), conflictCols, x, conflictCols, conflictRows, groups)
		}, true},
		"columnsShift writes": {func(_, dst []float64) {
			columnsShift(on(nil), dst, conflictCols, make([]float64, len(dst)), conflictCols, conflictRows, groups)
		}, false},
		"columnsScale writes": {func(_, dst []float64) { columnsScale(on(nil), dst, conflictCols, conflictRows, groups) }, false},
		"rowsShift reads":     {func(x, _ []float64) { rowsShiftAnyway(on(x), make([]float64, len(x)), x) }, true},
		"rowsShift writes":    {func(_, dst []float64) { rowsShiftAnyway(on(nil), dst, make([]float64, len(dst))) }, false},
		"pack reads":          {func(x, _ []float64) { pack(make([]float64, columnsWidth*fewCols), x, conflictCols, fewCols, groups) }, true},
		"columnsMove reads":   {func(x, _ []float64) { moveConflict(x, make([]float64, len(x))) }, true},
		"columnsMove writes":  {func(_, dst []float64) { moveConflict(make([]float64, len(dst)), dst) }, false},
		"packMax reads": {func(x, _ []float64) {
			packMax(new(columns), make([]float64, columnsWidth*fewCols), x, conflictCols, fewCols, groups)
		}, true},
		"unpack writes": {func(_, dst []float64) {
			unpack(dst, conflictCols, make([]float64, columnsWidth*fewCols), fewCols, groups)
		}, false},
		"unpackScaled writes": {func(_, dst []float64) {
			unpackScaled(new(columns), dst, conflictCols, make([]float64, columnsWidth*fewCols), fewCols, groups)
		}, false},
		"unpack writes densely": {func(_, dst []float64) { unpack(dst, fewCols, make([]float64, columnsWidth*fewCols), fewCols, groups) }, false},
	}
}()

// rowsShiftAnyway is rowsShift also where there is no kernel for it.
func rowsShiftAnyway(c *columns, dst, x []float64) {
	if !rowsShift(c, dst, x, fewCols, columnsWidth) {
		shiftBy(dst, x, 0, -1)
	}
}

// moveConflict reads x as the next strip and writes dst as the last one.
func moveConflict(x, dst []float64) {
	const groups = columnsWidth / group
	strip, buffer := make([]float64, columnsWidth*blockLen), make([]float64, columnsWidth*blockLen)
	columnsMove(new(columns), strip, blockLen, groups, &stripMove{new(stripState), buffer, x, conflictCols, dst, conflictCols})
}

// conflictAt is an element that each conflict touches.
const conflictAt = 1234

// TestRaceDetected has a process for each kernel and tier commit a data race,
// and expects the detector to see it.
func TestRaceDetected(t *testing.T) {
	if name := os.Getenv("LOGSOFTMAX_RACE"); name != "" {
		commitRace(t, name)
		return
	}
	for _, it := range tiers() {
		for name := range conflicts {
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
	i := slices.IndexFunc(tiers(), func(it tier) bool { return it.String() == tierName })
	active = tiers()[i]
	x, dst := make([]float64, conflictCols*conflictRows), make([]float64, conflictCols*conflictRows)
	done := make(chan bool)
	if name == "nothing" {
		// Neighbours in one array.
		m := mat.NewDense(64, conflictCols, x)
		go func() {
			LogSoftmax(m.Slice(0, 64, 0, 40).(*mat.Dense), m.Slice(0, 64, 0, 40), 1)
			Softmax(m.Slice(0, 64, 0, 40).(*mat.Dense), m.Slice(0, 64, 0, 40), 0)
			close(done)
		}()
		LogSoftmax(m.Slice(0, 64, 40, conflictCols).(*mat.Dense), m.Slice(0, 64, 40, conflictCols), 0)
		Softmax(m.Slice(0, 64, 40, conflictCols).(*mat.Dense), m.Slice(0, 64, 40, conflictCols), 1)
		<-done
		return
	}
	c := conflicts[name]
	go func() {
		if c.reads {
			x[conflictAt] = 1
		} else {
			sink = dst[conflictAt]
		}
		close(done)
	}()
	c.call(x, dst)
	<-done
}
