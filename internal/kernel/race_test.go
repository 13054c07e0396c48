// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build race

package kernel

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
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
	const groups = Width / Group
	zeros := func() []float64 { return make([]float64, 2000) }
	on := func(x []float64) *Panel {
		c := new(Panel)
		c.Reset()
		c.raiseMaxGo(make([]float64, Width), Width, 1, groups)
		c.setFramesGo(groups)
		return c
	}
	return map[string]conflict{
		"maxOf reads":        {func(x, _ []float64) { MaxOf(x[:2000]) }, true},
		"expSum reads":       {func(x, _ []float64) { expSum(nil, x[:2000], 1) }, true},
		"expSum writes":      {func(_, dst []float64) { expSum(dst[:2000], make([]float64, 2000), 0) }, false},
		"shiftBy reads":      {func(x, _ []float64) { ShiftBy(make([]float64, 2000), x[:2000], 1, -1) }, true},
		"shiftBy writes":     {func(_, dst []float64) { ShiftBy(dst[:2000], make([]float64, 2000), 1, -1) }, false},
		"columnsTotal reads": {func(x, _ []float64) { on(x).Total(nil, 0, x, conflictCols, conflictRows, groups) }, true},
		"columnsTotal writes": {func(_, dst []float64) {
			on(nil).Total(dst, conflictCols, make([]float64, len(dst)), conflictCols, conflictRows, groups)
		}, false},
		"scaleBy writes":                     {func(_, dst []float64) { scaleBy(dst[:2000], 0.5) }, false},
		"weightedLossSum reads":              {func(x, _ []float64) { weightedLossSum(zeros(), x[:2000], 1, -1) }, true},
		"weightedLossSum reads coefficients": {func(x, _ []float64) { weightedLossSum(x[:2000], zeros(), 1, -1) }, true},
		"weightedLossSums reads":             {func(x, _ []float64) { weightedLossSums(zeros(), x[:2000], 1, -1) }, true},
		"laneSum reads":                      {func(x, _ []float64) { laneSum(x[:2000]) }, true},
		"weightedGradient reads":             {func(x, _ []float64) { WeightedGradient(zeros(), x[:2000], zeros(), Factors{1, 0, 1}, Accumulator{}, 1) }, true},
		"weightedGradient writes": {func(_, dst []float64) {
			WeightedGradient(dst[:2000], zeros(), zeros(), Factors{1, 0, 1}, Accumulator{}, 1)
		}, false},
		"areSoftTargets reads":         {func(x, _ []float64) { AreSoftTargets(x[:2000]) }, true},
		"indexOf reads":                {func(x, _ []float64) { IndexOf(x[:2000], 7) }, true},
		"vectorJacobianOf reads":       {func(x, _ []float64) { VectorJacobianOf(zeros(), zeros(), x[:2000], 1, 0) }, true},
		"vectorJacobianOf writes":      {func(_, dst []float64) { VectorJacobianOf(dst[:2000], zeros(), zeros(), 1, 0) }, false},
		"columnsVectorJacobian reads":  {func(x, _ []float64) { ColumnsVectorJacobian(zeros(), x[:2000], zeros(), zeros(), zeros(), 0, 0, 0) }, true},
		"columnsVectorJacobian writes": {func(_, dst []float64) { ColumnsVectorJacobian(dst[:2000], zeros(), zeros(), zeros(), zeros(), 0, 0, 0) }, false},
		"columnsAdd reads":             {func(x, _ []float64) { on(x).Add(x, conflictCols, conflictRows, Width) }, true},
		"columnsMax reads":             {func(x, _ []float64) { on(x).RaiseMax(x, conflictCols, conflictRows, groups) }, true},
		"columnsExpSum reads":          {func(x, _ []float64) { on(x).AddExp(nil, 0, x, conflictCols, conflictRows, groups) }, true},
		"columnsExpSum writes": {func(_, dst []float64) {
			on(nil).AddExp(dst, conflictCols, make([]float64, len(dst)), conflictCols, conflictRows, groups)
		}, false},
		"columnsShift reads": {func(x, _ []float64) {
			on(x).Shift(make([]float64, len(x)), conflictCols, x, conflictCols, conflictRows, groups)
		}, true},
		"columnsShift writes": {func(_, dst []float64) {
			on(nil).Shift(dst, conflictCols, make([]float64, len(dst)), conflictCols, conflictRows, groups)
		}, false},
		"columnsScale writes": {func(_, dst []float64) { on(nil).Scale(dst, conflictCols, conflictRows, groups) }, false},
		"rowsShift reads":     {func(x, _ []float64) { rowsShiftAnyway(on(x), make([]float64, len(x)), x) }, true},
		"rowsShift writes":    {func(_, dst []float64) { rowsShiftAnyway(on(nil), dst, make([]float64, len(dst))) }, false},
		"pack reads":          {func(x, _ []float64) { pack(make([]float64, Width*FewCols), x, conflictCols, FewCols, groups) }, true},
		"columnsMove reads":   {func(x, _ []float64) { moveConflict(x, make([]float64, len(x))) }, true},
		"columnsMove writes":  {func(_, dst []float64) { moveConflict(make([]float64, len(dst)), dst) }, false},
		"packMax reads": {func(x, _ []float64) {
			new(Panel).packMax(make([]float64, Width*FewCols), x, conflictCols, FewCols, groups)
		}, true},
		"unpack writes": {func(_, dst []float64) {
			unpack(dst, conflictCols, make([]float64, Width*FewCols), FewCols, groups)
		}, false},
		"unpackScaled writes": {func(_, dst []float64) {
			new(Panel).unpackScaled(dst, conflictCols, make([]float64, Width*FewCols), FewCols, groups)
		}, false},
		"product reads rows": {func(x, _ []float64) {
			Product(Rows{zeros(), 1}, 40, 1, Factor{x, conflictCols, 1}, Rows{zeros(), 1}, conflictCols, nil, false)
		}, true},
		"product reads columns": {func(x, _ []float64) {
			Product(Rows{zeros(), 1}, conflictCols, 1, Factor{x, 1, conflictCols}, Rows{zeros(), 1}, 40, nil, false)
		}, true},
		"product reads vectors": {func(x, _ []float64) {
			Product(Rows{zeros(), conflictCols}, 2, conflictCols, Factor{zeros(), 40, 1}, Rows{x, conflictCols}, 40, nil, false)
		}, true},
		"product reads addends": {func(x, _ []float64) {
			Product(Rows{zeros(), 1}, 2000, 1, Factor{zeros(), 0, 0}, Rows{zeros(), 1}, 1, x[:2000], false)
		}, true},
		"product writes": {func(_, dst []float64) {
			Product(Rows{dst, conflictCols}, 40, conflictCols, Factor{zeros(), 0, 0}, Rows{zeros(), 0}, 2, nil, false)
		}, false},
		"unpack writes densely": {func(_, dst []float64) { unpack(dst, FewCols, make([]float64, Width*FewCols), FewCols, groups) }, false},
	}
}()

// rowsShiftAnyway is ShiftRows also where there is no kernel for it.
func rowsShiftAnyway(c *Panel, dst, x []float64) {
	if !c.ShiftRows(dst, x, FewCols, Width) {
		ShiftBy(dst, x, 0, -1)
	}
}

// moveConflict reads x as the next strip and writes dst as the last one.
func moveConflict(x, dst []float64) {
	const groups = Width / Group
	strip, buffer := make([]float64, Width*BlockLen), make([]float64, Width*BlockLen)
	new(Panel).MoveStrips(strip, BlockLen, groups, &Move{new(Strips), buffer, x, conflictCols, dst, conflictCols})
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
	for _, it := range Tiers() {
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
	i := slices.IndexFunc(Tiers(), func(it tier) bool { return it.String() == tierName })
	active = Tiers()[i]
	x, dst := make([]float64, conflictCols*conflictRows), make([]float64, conflictCols*conflictRows)
	done := make(chan bool)
	if name == "nothing" {
		// Neighbours in one array.
		neighbours := func(x []float64) {
			ShiftBy(x[:40], x[:40], 1, -1)
			new(Panel).Shift(x, conflictCols, x, conflictCols, conflictRows, 5)
		}
		go func() {
			neighbours(dst)
			close(done)
		}()
		neighbours(dst[40:])
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
