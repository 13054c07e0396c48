// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"
	"testing"

	"example.org/logsoftmax/internal/exact"
)

func TestULPError(t *testing.T) {
	var e ulpError
	if e = e.worse(1+0x1p-52, exact.Float(1)); e != 1 {
		t.Errorf("error %v, want 1", e)
	}
	if e = e.worse(1, exact.Float(1)); e != 1 {
		t.Errorf("a smaller error makes it %v, want 1", e)
	}
	if e = e.worse(math.NaN(), exact.Float(1)); e != -1 {
		t.Errorf("a NaN makes it %v, want -1", e)
	}
	if e = e.worse(1, exact.Float(1)); e != -1 {
		t.Errorf("what is not finite is forgotten: %v", e)
	}
	for e, want := range map[ulpError]string{-1: "not finite", 0.456: "0.5", 1.96: "2.0", 123: "123", 8.1e15: "8e15"} {
		if got := e.String(); got != want {
			t.Errorf("error %v is written %q, want %q", float64(e), got, want)
		}
	}
}

func TestFirstWrong(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		got, want []float64
		wrong     string
	}{
		{[]float64{nan, -inf, -1}, []float64{nan, -inf, -1 - 1e-9}, ""},
		{[]float64{-2, 0}, []float64{-2, -1.93e-22}, "0 for -1.93e-22"},
		{[]float64{-inf}, []float64{nan}, "-Inf for NaN"},
		{[]float64{nan}, []float64{-1}, "NaN for -1"},
		{[]float64{-1}, []float64{-inf}, "-1 for -Inf"},
	} {
		if got := firstWrong(c.got, c.want); got != c.wrong {
			t.Errorf("firstWrong(%v, %v) = %q, want %q", c.got, c.want, got, c.wrong)
		}
	}
}
