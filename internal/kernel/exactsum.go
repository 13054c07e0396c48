// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// An ExactSum is the exact sum of what was added to it, in whatever order,
// however far apart the magnitudes and beyond the range of a double on the
// way. The zero value is an empty sum. A copy shares what is beyond the
// words: only one of the two may be added to.
//
// The sum is that of three words, which between them hold 159 bits, and where
// those are too few, as they hardly ever are, of a wideSum. Infinities and
// NaNs are added up apart.
type ExactSum struct {
	hi, mid, low float64
	special      float64 // 0 for none
	wide         *wideSum
}

// Add adds x to the sum.
//
// The chains of dependent operations from one call to the next are one
// addition long.
func (s *ExactSum) Add(x float64) {
	hi, e := TwoSum(s.hi, x)
	mid, e := TwoSum(s.mid, e)
	if e != 0 {
		s.addBeyond(x, hi, mid, e)
		return
	}
	s.hi, s.mid = hi, mid
}

// addAll is AddAll for few terms.
func (s *ExactSum) addAll(x []float64) {
	hi, mid := s.hi, s.mid
	for _, v := range x {
		h, e := TwoSum(hi, v)
		m, e := TwoSum(mid, e)
		if e != 0 {
			s.hi, s.mid = hi, mid
			s.addBeyond(v, h, m, e)
			h, m = s.hi, s.mid
		}
		hi, mid = h, m
	}
	s.hi, s.mid = hi, mid
}

// addBeyond adds x, which makes the words hi and mid and leaves e, not 0.
func (s *ExactSum) addBeyond(x, hi, mid, e float64) {
	low, e := TwoSum(s.low, e)
	switch {
	case !IsFinite(x):
		s.special += x
	case IsFinite(e):
		s.hi, s.mid, s.low = hi, mid, low
		if e != 0 {
			s.widen().add(e)
		}
	default:
		// The words overflow.
		s.moveWords()
		s.wide.add(x)
	}
}

func (s *ExactSum) widen() *wideSum {
	if s.wide == nil {
		s.wide = new(wideSum)
	}
	return s.wide
}

// moveWords adds the words to the wide sum and clears them.
func (s *ExactSum) moveWords() {
	w := s.widen()
	w.add(s.hi)
	w.add(s.mid)
	w.add(s.low)
	s.hi, s.mid, s.low = 0, 0, 0
}

// Merge adds the sum o to the sum s.
func (s *ExactSum) Merge(o *ExactSum) {
	s.Add(o.hi)
	if o.mid != 0 || o.low != 0 {
		s.Add(o.mid)
		s.Add(o.low)
	}
	s.special += o.special
	if o.wide != nil {
		s.widen().merge(o.wide)
	}
}

// Value returns the sum, rounded once and to even. It is infinite where the
// sum is too large for a double; it is infinite or NaN, the package's one,
// where plain additions of the infinite and NaN terms are; and it is never -0.
func (s *ExactSum) Value() float64 {
	s.normalize()
	switch {
	case s.special != 0:
		return Canonical(s.special)
	case s.wide != nil:
		return s.wide.round().value()
	}
	return Canonical(s.hi)
}

// Pair returns the sum to some 106 bits, as p·2^exponent for |p| from ½ to 1,
// or 0: also where value is infinite for it. A sum with infinite or NaN terms is
// p.Hi.
func (s *ExactSum) Pair() (p Pair, exponent int) {
	s.normalize()
	switch {
	case s.special != 0:
		return Pair{Hi: Canonical(s.special)}, 0
	case s.wide != nil:
		w := *s.wide
		first := w.round()
		w.subtract(first)
		second := w.round()
		hi, k := math.Frexp(float64(first.m))
		p = Pair{hi, math.Ldexp(float64(second.m), second.k-first.k-k)}
		return p, first.k + k
	}
	hi, k := math.Frexp(s.hi)
	return Pair{hi, math.Ldexp(s.mid, -k)}, k
}

// normalize makes each word what its sum with those after it rounds to, unless
// the sum is wide, which then has all of it.
func (s *ExactSum) normalize() {
	if s.wide != nil {
		s.moveWords()
		return
	}
	hi, mid, low := s.hi, s.mid, s.low
	if mid == 0 && low == 0 {
		return
	}
	if low == 0 {
		if hi, mid = TwoSum(hi, mid); IsFinite(mid) {
			s.hi, s.mid = hi, mid
			return
		}
		hi, mid = s.hi, s.mid
	}
	for {
		h, m, l := hi, mid, low
		m, l = TwoSum(m, l)
		h, m = TwoSum(h, m)
		m, l = TwoSum(m, l)
		if !IsFinite(h) || !IsFinite(m) || !IsFinite(l) {
			s.moveWords()
			return
		}
		if h == hi && m == mid && l == low {
			break
		}
		hi, mid, low = h, m, l
	}
	// Where mid is half a unit of hi, it is low that decides.
	if mid > 0 && low > 0 || mid < 0 && low < 0 {
		if next := hi + 2*mid; next-hi == 2*mid {
			hi = next
			mid, low = TwoSum(-mid, low)
		}
	}
	s.hi, s.mid, s.low = hi, mid, low
}

// An ExactRest is what an exact sum is besides its value. There is one for a
// sum: equal sums have equal rests.
type ExactRest struct {
	// The value of the sum without its value, and of what that leaves. They
	// are 0 where text is not empty.
	mid, low float64
	// The sum, where three words do not make it up.
	text string
}

// Mid returns the rest as one word, if it is one.
func (r *ExactRest) Mid() (mid float64, ok bool) { return r.mid, r.low == 0 && r.text == "" }

// Split returns the sum's value and its rest.
func (s *ExactSum) Split() (value float64, rest ExactRest) {
	value = s.Value()
	switch {
	case s.special != 0:
		return value, ExactRest{}
	case s.wide == nil:
		return value, ExactRest{mid: s.mid, low: s.low}
	}
	w := *s.wide
	var words [3]float64
	if IsFinite(value) {
		for i := range words {
			words[i] = w.round().value()
			w.add(-words[i])
		}
		if w.isZero() {
			return value, ExactRest{mid: words[1], low: words[2]}
		}
	}
	return value, ExactRest{text: s.wide.text()}
}

// JoinExact returns the sum of this value and rest; of the value alone where the
// rest is not that of a sum with this value.
func JoinExact(value float64, rest ExactRest) ExactSum {
	if rest.text == "" {
		s := ExactSum{hi: value, mid: rest.mid, low: rest.low}
		if !IsFinite(value) || rest != (ExactRest{}) && s.Value() != value {
			s = ExactSum{}
			s.Add(value)
		}
		return s
	}
	s, _ := JoinText(value, rest.text)
	return s
}

// JoinText returns the sum of this value and text, or of the value alone where
// the text is that of another value, or no text of a sum, which is an error.
func JoinText(value float64, text string) (ExactSum, error) {
	w, err := parseWideSum(text)
	if err == nil && w.round().value() == value {
		return ExactSum{wide: w}, nil
	}
	var s ExactSum
	s.Add(value)
	return s, err
}

// TextBeyond returns the text of the sum, or nothing where its value is all of it.
func (s *ExactSum) TextBeyond() string {
	if _, rest := s.Split(); rest == (ExactRest{}) {
		return ""
	}
	return s.Text()
}

// Text returns the sum, which must be finite, as a hexadecimal floating-point
// number with all its digits.
func (s *ExactSum) Text() string {
	s.normalize()
	w := s.wide
	if w == nil {
		w = new(wideSum)
		w.add(s.hi)
		w.add(s.mid)
		w.add(s.low)
	}
	return w.text()
}

// A wideSum is the exact sum of finite doubles, as a number with digits to the
// base 2^32 for all of their range and for carries beyond it (Kulisch; as here,
// with digits that have room for carries, Neal, Fast Exact Summation Using
// Small and Large Superaccumulators, 2015).
type wideSum struct {
	// Digit k counts 2^(32k-1074). Between carries it may be anything.
	digits [wideDigits]int64
	// terms is how many terms were added since the carries were propagated.
	terms int
}

const (
	wideDigits = 68
	digitBits  = 32
	digitMask  = 1<<digitBits - 1
	// leastExponent is that of the smallest subnormal double.
	leastExponent = -1074
	// carryAfter is how many terms the digits have room for.
	carryAfter = 1 << 30
)

// add adds x, which is finite.
func (w *wideSum) add(x float64) {
	const (
		fraction = 52
		exponent = 1<<11 - 1
	)
	b := math.Float64bits(x)
	e, m := int(b>>fraction)&exponent, int64(b&(1<<fraction-1))
	if e > 0 {
		m |= 1 << fraction
		e--
	}
	if b>>63 != 0 {
		m = -m
	}
	w.addNumber(number{m, e + leastExponent})
}

// A number is m·2^k, for an m of at most 53 bits.
type number struct {
	m int64
	k int
}

// value returns x as a double; it is infinite where that is out of range.
func (x number) value() float64 { return math.Ldexp(float64(x.m), x.k) }

func (w *wideSum) addNumber(x number) {
	k, shift := (x.k-leastExponent)/digitBits, (x.k-leastExponent)%digitBits
	// m·2^shift in three digits, the last of them with the sign.
	low := x.m << shift
	d := (*[3]int64)(w.digits[k:])
	d[0] += low & digitMask
	d[1] += low >> digitBits & digitMask
	d[2] += x.m >> (64 - shift)
	if w.terms++; w.terms == carryAfter {
		w.carry()
	}
}

// subtract subtracts x.
func (w *wideSum) subtract(x number) { w.addNumber(number{-x.m, x.k}) }

// carry leaves the digits in [0, 2^32), but for the last, which has the sign.
func (w *wideSum) carry() {
	var c int64
	for k := range wideDigits - 1 {
		d := w.digits[k] + c
		w.digits[k], c = d&digitMask, d>>digitBits
	}
	w.digits[wideDigits-1] += c
	w.terms = 0
}

// merge adds the sum o to w.
func (w *wideSum) merge(o *wideSum) {
	w.carry()
	for k, d := range o.digits {
		w.digits[k] += d
	}
	w.carry()
}

// magnitude returns the digits of |w|, the index of the highest that is not 0,
// or 0, and whether w is negative.
func (w *wideSum) magnitude() (digits [wideDigits]int64, top int, negative bool) {
	v := *w
	v.carry()
	if v.digits[wideDigits-1] < 0 {
		negative = true
		for k := range v.digits {
			v.digits[k] = -v.digits[k]
		}
		v.carry()
	}
	top = wideDigits - 1
	for top > 0 && v.digits[top] == 0 {
		top--
	}
	return v.digits, top, negative
}

// round returns the sum, rounded to even to the 53 bits of a double, and
// exactly where it is below the range of normal doubles.
func (w *wideSum) round() number {
	digits, top, negative := w.magnitude()
	at := func(k int) uint64 {
		if k < 0 || k >= wideDigits {
			return 0
		}
		return uint64(digits[k])
	}
	const precision = 53
	drop := digitBits*top + bits.Len64(at(top)) - precision
	n := at(0) | at(1)<<digitBits
	if drop > 0 {
		d, shift := drop/digitBits, drop%digitBits
		n = at(d)>>shift | at(d+1)<<(digitBits-shift) | at(d+2)<<(2*digitBits-shift)
		// The bits that are dropped: more than, or exactly, one half?
		last := drop - 1
		d, shift = last/digitBits, last%digitBits
		half := at(d)>>shift&1 == 1
		more := at(d)&(1<<shift-1) != 0
		for d--; d >= 0 && !more; d-- {
			more = at(d) != 0
		}
		if half && (more || n&1 == 1) {
			n++
		}
	}
	m := int64(n)
	if negative {
		m = -m
	}
	return number{m, max(drop, 0) + leastExponent}
}

// isZero reports whether the sum is 0.
func (w *wideSum) isZero() bool {
	w.carry()
	return w.digits == [wideDigits]int64{}
}

// text returns the sum as a hexadecimal floating-point number whose digits are
// a whole number that does not end in 0, as in "-0x1d3p-44".
func (w *wideSum) text() string {
	digits, top, negative := w.magnitude()
	var b []byte
	b = strconv.AppendInt(b, digits[top], 16)
	for k := top - 1; k >= 0; k-- {
		for shift := digitBits - 4; shift >= 0; shift -= 4 {
			b = append(b, hexDigits[digits[k]>>shift&15])
		}
	}
	trimmed := strings.TrimRight(string(b), "0")
	if trimmed == "" {
		return "0x0p+0"
	}
	exponent := leastExponent + 4*(len(b)-len(trimmed))
	s := "0x" + trimmed + "p"
	if negative {
		s = "-" + s
	}
	if exponent >= 0 {
		s += "+"
	}
	return s + strconv.Itoa(exponent)
}

const hexDigits = "0123456789abcdef"

var errWideSum = errors.New("not an exact sum in hexadecimal")

// parseWideSum returns the sum of which s is the text; its digits may end in
// 0.
func parseWideSum(s string) (*wideSum, error) {
	s, negative := strings.CutPrefix(s, "-")
	s, prefixed := strings.CutPrefix(s, "0x")
	number, power, found := strings.Cut(s, "p")
	exponent, err := strconv.Atoi(power)
	if !prefixed || !found || number == "" || err != nil {
		return nil, errWideSum
	}
	w := new(wideSum)
	for i := range len(number) {
		d := strings.IndexByte(hexDigits, number[i])
		if d < 0 {
			return nil, errWideSum
		}
		if d == 0 {
			continue
		}
		at := exponent - leastExponent + 4*(len(number)-1-i)
		// The last digit has the sign and room for carries.
		if at < 0 || at >= digitBits*(wideDigits-1) {
			return nil, errWideSum
		}
		if negative {
			d = -d
		}
		w.digits[at/digitBits] += int64(d) << (at % digitBits)
	}
	w.carry()
	return w, nil
}
