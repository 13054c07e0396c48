// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package constants derives every numerical constant of the package's exp and
// log1p with math/big.
//
// The exponential: e^y = 2^(n/16)·e^r with n the integer nearest y·16/ln 2,
// |r| ≤ ln2/32, and e^r = 1 + r + r²·q(r) with q of degree 4. 2^(i/16) is a
// double and the relative error that rounding it left.
//
// The logarithm: log(1+f) = w + w³·p(w²) with w = 2f/(2+f), p of degree 6 and
// 1+f from √½ to √2.
//
// Both polynomials are minimax, by Remez' exchange on a grid: q in the
// absolute error of e^r, p in the error of the logarithm relative to w. Each
// coefficient is then rounded to the nearest double.
package constants

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
)

const precision = 400

func num(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }
func zero() *big.Float         { return new(big.Float).SetPrec(precision) }

func mul(a, b *big.Float) *big.Float { return zero().Mul(a, b) }
func add(a, b *big.Float) *big.Float { return zero().Add(a, b) }
func sub(a, b *big.Float) *big.Float { return zero().Sub(a, b) }
func quo(a, b *big.Float) *big.Float { return zero().Quo(a, b) }

// atanhSeries is Σ x^(2j+1)/(2j+1).
func atanhSeries(x *big.Float) *big.Float {
	sum, power, square := zero(), zero().Set(x), mul(x, x)
	for j := 1; power.Sign() != 0 && power.MantExp(nil) > -precision; j += 2 {
		sum = add(sum, quo(power, num(float64(j))))
		power = mul(power, square)
	}
	return sum
}

// expTail is (e^r - 1 - r)/r² = Σ r^j/(j+2)!, for |r| < 1.
func expTail(r *big.Float) *big.Float {
	sum, term := zero(), num(0.5)
	for j := 3; term.Sign() != 0 && term.MantExp(nil) > -precision; j++ {
		sum = add(sum, term)
		term = quo(mul(term, r), num(float64(j)))
	}
	return sum
}

// logTail is p(t) = Σ t^j/((2j+3)·4^(j+1)), so that 2·atanh(w/2) = w + w³·p(w²).
func logTail(t *big.Float) *big.Float {
	sum, power := zero(), num(0.25)
	for j := 3; power.Sign() != 0 && power.MantExp(nil) > -precision; j += 2 {
		sum = add(sum, quo(power, num(float64(j))))
		power = quo(mul(power, t), num(4))
	}
	return sum
}

// horner evaluates the polynomial with coefficients c, lowest first.
func horner(c []*big.Float, x *big.Float) *big.Float {
	y := zero()
	for j := len(c) - 1; j >= 0; j-- {
		y = add(mul(y, x), c[j])
	}
	return y
}

// solve solves the square system a·x = b by elimination with pivoting.
func solve(a [][]*big.Float, b []*big.Float) []*big.Float {
	n := len(b)
	for i := range n {
		p := i
		for j := i + 1; j < n; j++ {
			if zero().Abs(a[j][i]).Cmp(zero().Abs(a[p][i])) > 0 {
				p = j
			}
		}
		a[i], a[p], b[i], b[p] = a[p], a[i], b[p], b[i]
		for j := i + 1; j < n; j++ {
			f := quo(a[j][i], a[i][i])
			for k := i; k < n; k++ {
				a[j][k] = sub(a[j][k], mul(f, a[i][k]))
			}
			b[j] = sub(b[j], mul(f, b[i]))
		}
	}
	x := make([]*big.Float, n)
	for i := n - 1; i >= 0; i-- {
		x[i] = b[i]
		for k := i + 1; k < n; k++ {
			x[i] = sub(x[i], mul(a[i][k], x[k]))
		}
		x[i] = quo(x[i], a[i][i])
	}
	return x
}

// minimax is the polynomial p of the given degree that minimises the largest
// |weight·(p - f)| on [lo, hi], and that largest error.
func minimax(f, weight func(*big.Float) *big.Float, lo, hi *big.Float, degree int) ([]*big.Float, float64) {
	const grid = 1500
	n := degree + 2
	xs, fs, ws := make([]*big.Float, grid+1), make([]*big.Float, grid+1), make([]*big.Float, grid+1)
	for i := range xs {
		// Chebyshev spacing resolves the ends.
		u := num((1 - math.Cos(math.Pi*float64(i)/grid)) / 2)
		xs[i] = add(lo, mul(sub(hi, lo), u))
		fs[i], ws[i] = f(xs[i]), weight(xs[i])
	}
	reference := make([]int, n)
	for j := range reference {
		reference[j] = int(math.Round((float64(j) + 0.5) / float64(n) * grid))
	}
	var c []*big.Float
	for round := 0; ; round++ {
		a, b := make([][]*big.Float, n), make([]*big.Float, n)
		for j, i := range reference {
			row, power := make([]*big.Float, n), num(1)
			for k := range degree + 1 {
				row[k] = mul(power, ws[i])
				power = mul(power, xs[i])
			}
			row[n-1] = num(1 - 2*float64(j%2))
			a[j], b[j] = row, mul(fs[i], ws[i])
		}
		c = solve(a, b)[:degree+1]
		// The extremum of each run of one sign of the error is the next
		// reference; of too many, the smallest end goes.
		var next []int
		var size []float64
		for i := range xs {
			e, _ := mul(ws[i], sub(horner(c, xs[i]), fs[i])).Float64()
			last := len(next) - 1
			switch {
			case e == 0:
			case last < 0 || (e > 0) != (size[last] > 0):
				next, size = append(next, i), append(size, e)
			case math.Abs(e) > math.Abs(size[last]):
				next[last], size[last] = i, e
			}
		}
		for len(next) > n {
			if math.Abs(size[0]) < math.Abs(size[len(size)-1]) {
				next, size = next[1:], size[1:]
			} else {
				next, size = next[:len(next)-1], size[:len(size)-1]
			}
		}
		least, most := math.Inf(1), 0.0
		for _, e := range size {
			least, most = min(least, math.Abs(e)), max(most, math.Abs(e))
		}
		if len(next) != n || round > 50 {
			panic(fmt.Sprintf("minimax: %d extrema for degree %d in round %d", len(next), degree, round))
		}
		if most-least <= 1e-4*most {
			return c, most
		}
		reference = next
	}
}

// literal is x, rounded to the nearest double, as Go writes it.
func literal(x *big.Float) string {
	f, _ := x.Float64()
	return fmt.Sprintf("%x", f)
}

// Constants are all of them.
type Constants struct {
	// Go is their Go source, but for what a file begins with.
	Go []byte
	// Power and PowerRest are the tables of these names.
	Power     [16]uint64
	PowerRest [16]float64
}

// Derive derives them.
func Derive() *Constants {
	c := new(Constants)
	ln2 := mul(num(2), atanhSeries(quo(num(1), num(3))))
	sixteenth := quo(ln2, num(16))
	// hi has 37 bits: its product with an n of 16 bits is exact.
	hi := zero().Set(sixteenth)
	hi.SetPrec(37).SetPrec(precision)
	lo := sub(sixteenth, hi)
	whole := zero().Set(ln2)
	whole.SetPrec(42).SetPrec(precision)

	var out bytes.Buffer
	fmt.Fprintf(&out, "const (\n")
	fmt.Fprintf(&out, "\tsixteenthsPerLn2 = %s // 16/ln 2\n", literal(quo(num(1), sixteenth)))
	fmt.Fprintf(&out, "\tsixteenthHi = %s // ln2/16, its first 37 bits\n", literal(hi))
	fmt.Fprintf(&out, "\tsixteenthLo = %s // and the rest\n", literal(lo))
	fmt.Fprintf(&out, "\tln2Hi = %s // ln 2, its first 42 bits\n", literal(whole))
	fmt.Fprintf(&out, "\tln2Lo = %s // and the rest\n", literal(sub(ln2, whole)))
	fmt.Fprintf(&out, ")\n\n")

	bound := mul(quo(ln2, num(32)), num(1+0x1p-20))
	q, e := minimax(expTail, func(r *big.Float) *big.Float { return mul(r, r) }, zero().Neg(bound), bound, 4)
	fmt.Fprintf(&out, "// e^r = 1 + r + r²(exp2 + exp3·r + … + exp6·r⁴) within %.2g for |r| ≤ ln2/32.\nconst (\n", e)
	for j, a := range q {
		fmt.Fprintf(&out, "\texp%d = %s\n", j+2, literal(a))
	}
	fmt.Fprintf(&out, ")\n\n")

	// |w| is largest at 1+f = √2: 2(√2-1)/(√2+1).
	root := zero().Sqrt(num(2))
	w := quo(mul(num(2), sub(root, num(1))), add(root, num(1)))
	t := mul(mul(w, w), num(1+0x1p-20))
	p, e := minimax(logTail, func(t *big.Float) *big.Float { return t }, zero(), t, 6)
	fmt.Fprintf(&out, "// log(1+f) = w + w³(log3 + log5·w² + … + log15·w¹²) within %.2g·w for w = 2f/(2+f), √½ ≤ 1+f ≤ √2.\nconst (\n", e)
	for j, a := range p {
		fmt.Fprintf(&out, "\tlog%d = %s\n", 2*j+3, literal(a))
	}
	fmt.Fprintf(&out, ")\n\n")

	var power, rest bytes.Buffer
	for i := range 16 {
		// 2^(i/16) by repeated square roots of 2.
		v := num(1)
		r := zero().Set(root)
		for bit := 8; bit > 0; bit /= 2 {
			if i&bit != 0 {
				v = mul(v, r)
			}
			r = zero().Sqrt(r)
		}
		f, _ := v.Float64()
		c.Power[i] = math.Float64bits(f) - uint64(i)<<48
		c.PowerRest[i], _ = quo(sub(v, num(f)), num(f)).Float64()
		fmt.Fprintf(&power, "\t%#016x, // %x\n", c.Power[i], f)
		fmt.Fprintf(&rest, "\t%x,\n", c.PowerRest[i])
	}
	fmt.Fprintf(&out, "// power[i] holds the bits of 2^(i/16) less i<<48, so that adding n<<48 with i = n mod 16 gives 2^(n/16).\nvar power = [16]uint64{\n%s}\n\n", power.String())
	fmt.Fprintf(&out, "// powerRest[i] is what rounding 2^(i/16) lost, relative to it.\nvar powerRest = [16]float64{\n%s}\n", rest.String())

	c.Go = out.Bytes()
	return c
}
