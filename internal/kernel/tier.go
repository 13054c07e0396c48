// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// A tier is an instruction set that the kernels exist for. All return the
// same bits.
type tier uint8

const (
	tierGo tier = iota // this package's Go
	tierNEON
	tierAVX2   // with FMA
	tierAVX512 // F, DQ and VL
)

func (t tier) String() string {
	return [...]string{"go", "neon", "avx2", "avx512"}[t]
}

// active is the tier in use, the best of tiers().
var active = best()

func best() tier {
	all := Tiers()
	return all[len(all)-1]
}

// Wide reports whether the kernels have vectors of eight numbers.
func Wide() bool { return active == tierAVX512 }

// Use makes t the tier in use until the returned function is called. Nothing of
// the package may run meanwhile on other goroutines.
func Use(t tier) (restore func()) {
	before := active
	active = t
	return func() { active = before }
}
