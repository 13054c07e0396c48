// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package numbers

import (
	"math"

	"example.org/logsoftmax/_gen/source"
)

// Constants returns the bits of a constant of the kernels by its name: one of
// the package, or of those that follow from them.
func Constants(p *source.Package) func(name string) uint64 {
	of := func(name string) float64 {
		x, ok := p.Float(name)
		if !ok {
			panic("no constant " + name)
		}
		return x
	}
	derived := map[string]uint64{
		"zero":           math.Float64bits(0),
		"half":           math.Float64bits(0.5),
		"aboveHalf":      math.Float64bits(0.5625),
		"one":            math.Float64bits(1),
		"two":            math.Float64bits(2),
		"minusOne":       math.Float64bits(-1),
		"minusFifty":     math.Float64bits(-50),
		"two52":          math.Float64bits(0x1p52),
		"inf":            math.Float64bits(math.Inf(1)),
		"minusInf":       math.Float64bits(math.Inf(-1)),
		"nan":            math.Float64bits(math.NaN()), // the one that the package writes
		"frameMagic":     math.Float64bits(2*of("magic") + 16*of("scaleBits")),
		"scaledMagic":    math.Float64bits(of("magic") + 16*of("scaleBits")),
		"minusFarthest":  math.Float64bits(-of("farthest")),
		"halvedMagic":    math.Float64bits(of("magic") - 16),
		"minusSeriesEnd": math.Float64bits(-of("seriesEnd")),
		"factorial3":     math.Float64bits(1.0 / 6),
		"factorial4":     math.Float64bits(1.0 / 24),
		"factorial5":     math.Float64bits(1.0 / 120),
		"factorial6":     math.Float64bits(1.0 / 720),
		"factorial7":     math.Float64bits(1.0 / 5040),
		"factorial8":     math.Float64bits(1.0 / 40320),
		// Integers and masks.
		"integerOne": 1,
		"low4":       15,
		"low4Pairs":  15 * 16,
		"bias":       1023,
		"absMask":    1<<63 - 1,
		"signMask":   1 << 63,
		// For VFIXUPIMMPD, four bits for a class of numbers: NaNs stay what the
		// result was, zeros become +0, all others are taken.
		"canonicalClasses": 0x11111800,
	}
	return func(name string) uint64 {
		if bits, ok := derived[name]; ok {
			return bits
		}
		return math.Float64bits(of(name))
	}
}
