// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/logsoftmax/internal/testkit"
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
	exps := func() {
		for range 20 {
			sink += math.Exp(sink * 1e-9)
		}
	}
	// A low quantile of many is robust against whatever else the machine does.
	// The fastest is not: what comes between may put the registers right.
	durations := make([]time.Duration, 400+1600*min(1, testkit.Long()))
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
		for k := range kernels {
			row := &kernels[k]
			shapes := row.layout.shapes()
			o := newOperands(rand.New(rand.NewPCG(35, 36)), row.layout, row.values, shapes[len(shapes)-1], plain)
			if after := usual(func() { row.call(o) }); after > 3*alone+time.Microsecond/2 {
				t.Errorf("20 times math.Exp take %v, after %s they take %v", alone, row.name, after)
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
