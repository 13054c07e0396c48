// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build race && (amd64 || arm64) && !purego && !noasm && !safe

package kernel

import (
	"runtime"
	"unsafe"
)

// raceReadSlice tells the race detector, which sees nothing of assembly, that
// x is about to be read. As it sees every slice that a kernel gets, it also holds
// them to PieceLen.
func raceReadSlice(x []float64) {
	if len(x) > PieceLen {
		panic("a kernel reads too many entries at once")
	}
	if len(x) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(x)), len(x)*int(unsafe.Sizeof(x[0])))
	}
}

// raceWriteSlice tells the race detector that x is about to be written.
func raceWriteSlice(x []float64) {
	if len(x) > PieceLen {
		panic("a kernel writes too many entries at once")
	}
	if len(x) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(x)), len(x)*int(unsafe.Sizeof(x[0])))
	}
}

// raceReadRows is raceReadSlice for n rows of the given width, stride apart.
func raceReadRows(x []float64, stride, n, width int) {
	for i := range n {
		raceReadSlice(x[i*stride:][:width])
	}
}

// raceWriteRows is raceWriteSlice for n rows of the given width, stride apart.
func raceWriteRows(x []float64, stride, n, width int) {
	for i := range n {
		raceWriteSlice(x[i*stride:][:width])
	}
}

// raceReadFactor is raceReadSlice for the entries of a factor.
func raceReadFactor(a Factor, rows, n int) {
	for i := range rows {
		for k := range n {
			raceReadSlice(a.Data[i*a.Row+k*a.Step:][:1])
		}
	}
}
