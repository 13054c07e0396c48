// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"
)

// TestTiers holds the choice of a tier to what GODEBUG, the architecture and
// the build tags say.
func TestTiers(t *testing.T) {
	all := Tiers()
	t.Logf("tiers %v, %v in use, on %s", all, active, runtime.GOARCH)
	if all[0] != tierGo || !slices.IsSorted(all) || active != all[len(all)-1] {
		t.Errorf("tiers are %v, %v in use", all, active)
	}
	without := func(reason string, gone ...tier) {
		for _, it := range gone {
			if slices.Contains(all, it) {
				t.Errorf("%s, and tier %v is there", reason, it)
			}
		}
	}
	if withoutAssembly {
		without("assembly is switched off", tierNEON, tierAVX2, tierAVX512)
	}
	if runtime.GOARCH != "arm64" {
		without(runtime.GOARCH, tierNEON)
	} else if !withoutAssembly && !slices.Contains(all, tierNEON) {
		t.Error("NEON is not in use on arm64")
	}
	if runtime.GOARCH != "amd64" {
		without(runtime.GOARCH, tierAVX2, tierAVX512)
	}
	for _, setting := range strings.Split(os.Getenv("GODEBUG"), ",") {
		switch setting {
		case "cpu.avx512f=off":
			without(setting, tierAVX512)
		case "cpu.avx2=off":
			without(setting, tierAVX2, tierAVX512)
		}
	}
}

// TestExpAfterKernels has math.Exp, which uses the legacy encoding of SSE on
// amd64, be as fast after the kernels as before: a kernel that leaves the
// upper halves of the vector registers in use makes it many times slower.
func TestExpAfterKernels(t *testing.T) {
	x, dst := mat.NewDense(40, 130, nil), mat.NewDense(40, 130, nil)
	calls := callEveryKernel(x, dst)
	exps := func() {
		for range 20 {
			sink += math.Exp(sink * 1e-9)
		}
	}
	// A low quantile of many is robust against whatever else the machine does.
	// The fastest is not: what comes between may put the registers right.
	durations := make([]time.Duration, 2000)
	usual := func(before func()) time.Duration {
		for i := range durations {
			before()
			start := time.Now()
			exps()
			durations[i] = time.Since(start)
		}
		slices.Sort(durations)
		return durations[len(durations)/4]
	}
	alone := usual(func() {})
	eachTier(t, func(t *testing.T) {
		for name, call := range calls {
			if after := usual(call); after > 3*alone+time.Microsecond/2 {
				t.Errorf("20 times math.Exp take %v, after %s they take %v", alone, name, after)
			}
		}
	})
}

// TestVZEROUPPER has every kernel for amd64 that uses vector registers clear
// their upper halves before each return: not every processor is slow without it,
// so that TestExpAfterKernels need not notice.
func TestVZEROUPPER(t *testing.T) {
	vector := regexp.MustCompile(`\b[XYZ][0-9]+\b`)
	for _, name := range []string{"kernels_avx2_amd64.s", "kernels_avx512_amd64.s"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		kernels := strings.Split(string(text), "\nTEXT ")[1:]
		for _, kernel := range kernels {
			if !vector.MatchString(kernel) {
				continue
			}
			lines := strings.Split(kernel, "\n")
			for i, line := range lines {
				if strings.TrimSpace(line) == "RET" && strings.TrimSpace(lines[i-1]) != "VZEROUPPER" {
					t.Errorf("%s: %s returns without VZEROUPPER", name, strings.SplitN(kernel, "(", 2)[0])
				}
			}
		}
		if len(kernels) < 30 {
			t.Errorf("%s has %d kernels", name, len(kernels))
		}
	}
}

// callEveryKernel returns calls of every kernel.
func callEveryKernel(x, dst *mat.Dense) map[string]func() {
	in, out := x.RawMatrix().Data, dst.RawMatrix().Data
	c := new(Panel)
	c.Reset()
	c.raiseMaxGo(in, 130, 40, 8)
	c.setFramesGo(8)
	tile := make([]float64, Width*FewCols)
	target, l, state := make([]int, Width), new(Labels), new(Strips)
	return map[string]func(){
		"maxOf":                      func() { MaxOf(in[:2000]) },
		"expSum without dst":         func() { expSum(nil, in[:2000], 0) },
		"expSum":                     func() { expSum(out[:2000], in[:2000], 0) },
		"shiftBy":                    func() { ShiftBy(out[:2000], in[:2000], 0, -1) },
		"scaleBy":                    func() { scaleBy(out[:2000], 0.5) },
		"weightedLossSum":            func() { weightedLossSum(in[:2000], out[:2000], 0, -1) },
		"weightedLossSums":           func() { weightedLossSums(in[:2000], out[:2000], 0, -1) },
		"laneSum":                    func() { laneSum(in[:2000]) },
		"weightedGradient":           func() { WeightedGradient(out[:2000], in[:2000], in[:2000], Factors{1, 0, 1}, Accumulator{1, 0}, 0.5) },
		"areSoftTargets":             func() { AreSoftTargets(in[:2000]) },
		"indexOf":                    func() { IndexOf(in[:2000], 7) },
		"vectorJacobianOf":           func() { VectorJacobianOf(out[:2000], in[:2000], in[:2000], 1, 0) },
		"columnsVectorJacobian":      func() { ColumnsVectorJacobian(out[:500], in[:500], in[:500], in[:500], in[:500], 0, 0, 0) },
		"columnsAdd":                 func() { c.Add(in, 130, 40, 64) },
		"columnsWeightedLoss":        func() { c.WeightedLoss(in, tile, 60, 8) },
		"columnsWeightedGradient":    func() { c.WeightedGradient(out, in, tile, 60, 8) },
		"columnsTotal without dst":   func() { c.Total(nil, 0, in, 130, 40, 8) },
		"columnsTotal":               func() { c.Total(out, 130, in, 130, 40, 8) },
		"columnsMax":                 func() { c.RaiseMax(in, 130, 40, 8) },
		"columnsMove":                func() { c.MoveStrips(in, 40, 8, &Move{state, tile, in, 130, out, 130}) },
		"columnsFrame":               func() { c.SetFrames(8) },
		"columnsExpSum without dst":  func() { c.AddExp(nil, 0, in, 130, 40, 8) },
		"columnsExpSum":              func() { c.AddExp(out, 130, in, 130, 40, 8) },
		"columnsJoin":                func() { c.JoinLanes(8) },
		"columnsLog":                 func() { c.concludeLogs(8) },
		"columnsConclude":            func() { c.concludeProbabilities(8) },
		"columnsShift":               func() { c.Shift(out, 130, in, 130, 40, 8) },
		"columnsScale":               func() { c.Scale(out, 130, 40, 8) },
		"pack":                       func() { pack(tile, in, 130, 64, 5) },
		"packMax":                    func() { c.packMax(tile, in, 130, 64, 5) },
		"rowsShift":                  func() { c.ShiftRows(out, in, 64, 64) },
		"columnsLabel":               func() { c.Label(in, 64, target, l, 64, nil, 0) },
		"columnsLabel with terms":    func() { c.Label(in, 64, target, l, 64, tile, 0.5) },
		"unpack":                     func() { unpack(out, 130, tile, 64, 5) },
		"unpackScaled":               func() { c.unpackScaled(out, 130, tile, 64, 5) },
		"product":                    func() { Product(Rows{out, 130}, 15, 47, Factor{in, 130, 1}, Rows{in, 130}, 40, nil, false) },
		"unpack of adjacent columns": func() { unpack(out, 64, tile, 64, 5) },
	}
}
