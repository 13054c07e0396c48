// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package sweep

import (
	"math"
	"strings"
	"testing"
)

// TestLoopsAgree holds every loop to the package's result, in every layout: what
// is timed must be the same work.
func TestLoopsAgree(t *testing.T) {
	p := new(pool)
	for _, layout := range append([]Layout{Dense}, Layouts...) {
		for _, j := range Jobs {
			if j.Down && layout != Dense {
				continue
			}
			d := newData(p, 7, 5, layout)
			result := func(f func()) []float64 {
				for i := range d.each {
					d.each[i] = math.NaN()
				}
				if layout != InPlace {
					d.dst.Zero()
				}
				sink = 0
				f()
				out := append([]float64{sink}, d.each...)
				for i := range d.rows {
					out = append(out, d.dst.RawRowView(i)...)
				}
				if layout == InPlace {
					d.restore()
				}
				return out
			}
			want, got := result(j.ours(d)), result(j.loop(d))
			some := false
			for i, w := range want {
				g := got[i]
				if !(math.Abs(g-w) <= 1e-14) && !(math.IsNaN(g) && math.IsNaN(w)) {
					t.Errorf("%s, %s: value %d of the loop is %v, want %v", j.Name, layout, i, g, w)
					break
				}
				some = some || w != 0 && !math.IsNaN(w)
			}
			if !some {
				t.Errorf("%s, %s: no result", j.Name, layout)
			}
		}
	}
}

func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	var cells []Cell
	c := &Config{Jobs: Jobs[:2], Layouts: []Layout{Dense, View}, Sizes: []int{Small, 1 << 10}, Widths: []int{3, 5000}, Samples: 1}
	Run(c, func(cell Cell) { cells = append(cells, cell) })
	if want := len(SmallRows)*len(SmallCols)*2 + 2*2 + 2; len(cells) != want {
		t.Errorf("%d cells, want %d", len(cells), want)
	}
	for _, c := range cells {
		if !(c.Ours > 0 && c.Loop > 0) {
			t.Errorf("%v: %v ns, loop %v", &c, c.Ours, c.Loop)
		}
		if c.Job == Jobs[1].Name && c.Rows < 2 {
			t.Errorf("%v has columns of one", &c)
		}
	}
}

func TestFindings(t *testing.T) {
	cell := func(job string, layout Layout, cols int, ours, loop, threaded float64) Cell {
		return Cell{job, layout, 1 << 17, 8, cols, ours, loop, threaded, 1.9}
	}
	all := Findings([]Cell{
		cell("CrossEntropyGrad", Dense, 64, 1, 7, 0.5),
		cell("CrossEntropyGrad", Dense, 65, 1.4, 7, 0.9),
		cell("CrossEntropyGrad", View, 64, 1.1, 7, 0),
		cell("CrossEntropyGrad", Transposed, 64, 2.5, 100, 0),
		cell("CrossEntropyGrad, Weight", Dense, 64, 1.35, 7, 0),
		cell("CrossEntropyGrad, Weight", Dense, 300, 9, 50, 0),
		{"LogSoftmax", Dense, Small, 1, 10, 5, 4, 0, 0},
		{"LogSoftmax", Dense, Small, 8, 10, 5, 6, 0, 0},
		// No more is to be had.
		{"LogSoftmax", Dense, 1 << 17, 8, 64, 1, 8, 1, 1},
	})
	want := [][]string{
		{"LogSoftmax, dense, 1×10", "CrossEntropyGrad, dense, 8×65"},
		{"CrossEntropyGrad, Weight, dense, 8×64"},
		{"CrossEntropyGrad, transposed, 8×64"},
		{"CrossEntropyGrad, dense, 8×65"},
		{"CrossEntropyGrad, dense, 8×65"},
	}
	for i, list := range all {
		var names []string
		for _, f := range list {
			names = append(names, f.Cell.String())
		}
		if strings.Join(names, "\n") != strings.Join(want[i], "\n") {
			t.Errorf("%s: %q, want %q", Aims[i], names, want[i])
		}
	}
}

func TestTables(t *testing.T) {
	var b strings.Builder
	err := WriteTables(&b, []Cell{
		{"LogSoftmax", Dense, 8, 1, 10, 0.5, 4, 0.25, 2},
		{"LogSoftmax, dim 0", Dense, 8, 2, 10, 3, 12, 0, 0},
		{"LogSoftmax", Dense, Small, 1, 10, 5, 4, 0, 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10  0.50 (8.0) ×2.00", "3.00 (4.0)", "1×10   50 (0.80)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestBareGain(t *testing.T) {
	c := &Config{Threads: 2, Samples: 1}
	if g := c.bareGain(1e6); !(g > 0 && g < 4) || c.bare[20] != g {
		t.Errorf("two goroutines gain %v; kept: %v", g, c.bare)
	}
}
