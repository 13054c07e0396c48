// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"testing"
	"time"
)

// TestPeak measures a peer that takes 64 MB beside its result.
func TestPeak(t *testing.T) {
	if _, err := resident("VmHWM"); err != nil {
		t.Skip(err)
	}
	const size = 8 << 20
	var sum float64
	p := Peer{linear: func(b *Batch) (Work, error) {
		return newGoWork(b, map[Op]func() float64{LinearGrad: func() float64 {
			v := make([]float64, size)
			for i := range v {
				v[i] = 1
			}
			for i := range b.Dst {
				b.Dst[i] = 1
			}
			sum = v[time.Now().Second()]
			return sum
		}}), nil
	}}
	n, err := peakOf(p, Shape{Rows: 10, Features: 1000, Cols: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if n < 8*size || n > 8*size+8<<20 {
		t.Errorf("%d bytes, want %d", n, 8*size)
	}
}
