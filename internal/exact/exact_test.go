// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package exact

import (
	"math"
	"math/big"
	"testing"
)

func TestFunctions(t *testing.T) {
	near := func(a, b *big.Float, bits int) bool {
		d := New().Sub(a, b)
		return d.Sign() == 0 || d.MantExp(nil) <= max(a.MantExp(nil), b.MantExp(nil))-bits
	}
	// To 60 digits: log 2 and e.
	for _, c := range []struct {
		name, want string
		got        *big.Float
	}{
		{"log 2", "0.693147180559945309417232121458176568075500134360255254120680", Ln2},
		{"exp 1", "2.71828182845904523536028747135266249775724709369995957496697", Exp(Float(1))},
		{"log 10", "2.30258509299404568401799145468436420760110148862877297603333", Log(Float(10))},
	} {
		want, _, err := big.ParseFloat(c.want, 10, Prec, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		if !near(c.got, want, 195) {
			t.Errorf("%s = %.60g, want %s", c.name, c.got, c.want)
		}
	}
	for _, x := range []float64{1e-300, 1e-17, 0.001, 0.0078125, 0.5, 1, 3.7, 36.9, 708.3, 1e5} {
		v := Float(x)
		if got := Log(Exp(v)); x > 1e-3 && !near(got, v, 250) {
			t.Errorf("log(exp(%g)) = %g", x, got)
		}
		minus := New().Neg(v)
		if got := New().Mul(Exp(v), Exp(minus)); !near(got, Float(1), 280) {
			t.Errorf("exp(%g)·exp(-%[1]g) = %g", x, got)
		}
		if got := New().Sub(Exp(v), Float(1)); x > 1e-3 && !near(got, Expm1(v), 250) {
			t.Errorf("expm1(%g) = %g, want %g", x, Expm1(v), got)
		}
		if got := Log1p(Expm1(v)); !near(got, v, 250) {
			t.Errorf("log1p(expm1(%g)) = %g", x, got)
		}
		// log1p(t) + log1p(t) = log1p(2t + t²), on both sides of the branch.
		double := New().Mul(v, v)
		double.Add(double, v)
		double.Add(double, v)
		l := Log1p(v)
		if got := Log1p(double); !near(got, New().Add(l, l), 250) {
			t.Errorf("log1p(2·%g + ²) = %g, want %g", x, got, l)
		}
	}
}

// below reports whether |d| is below 2^e.
func below(d *big.Float, e int) bool { return d.Sign() == 0 || d.MantExp(nil) <= e }

func TestRow(t *testing.T) {
	third := New().Quo(Float(1), Float(3))
	for _, got := range NewRow([]float64{1e15, 1e15, 1e15}).Prob {
		if d := New().Sub(got, third); !below(d, -400) {
			t.Errorf("three equal logits: probability %.80g", got)
		}
	}
	x := []float64{3, 3.5, -2, -40, -760}
	r := NewRow(x)
	q := Coefficients([]float64{0.2, 0.3, 0.5, 0, 0x1p-40}, []float64{1, 2, 3, 4, 5}, 0.25)
	sum, gradients := New(), New()
	grad, _ := r.Grad(q)
	for j := range x {
		sum.Add(sum, r.Prob[j])
		gradients.Add(gradients, grad[j])
		if d := New().Sub(Exp(r.LogProb[j]), r.Prob[j]); !below(d, r.Prob[j].MantExp(nil)-400) {
			t.Errorf("entry %d: probability %.30g of log-probability %.30g", j, r.Prob[j], r.LogProb[j])
		}
		if d := New().Add(r.Prob[j], r.Complement[j]); !below(d.Sub(d, Float(1)), -400) {
			t.Errorf("entry %d and its complement add up to 1 and %g", j, d)
		}
	}
	if sum.Sub(sum, Float(1)); !below(sum, -400) {
		t.Errorf("probabilities add up to 1 and %g", sum)
	}
	if !below(gradients, -400) {
		t.Errorf("the gradient adds up to %g", gradients)
	}
	// The gradient is what the loss changes by.
	const h = 0x1p-40
	for j := range x {
		step := func(d float64) *big.Float {
			y := append([]float64(nil), x...)
			y[j] += d
			next := NewRow(y)
			return next.Loss(q)
		}
		d := step(h)
		d.Sub(d, step(-h))
		d.Quo(d, Float(2*h))
		if d.Sub(d, grad[j]); !below(d, -60) {
			t.Errorf("entry %d: the gradient is off by %g", j, d)
		}
	}
}

// TestVectorJacobian holds the two products to their definitions.
func TestVectorJacobian(t *testing.T) {
	logp, u := []float64{-0.5, -1.25, -3, -700}, []float64{1, -2.5, 0x1p-60, 1e10}
	log, _ := LogSoftmaxGrad(logp, u)
	soft, _ := SoftmaxGrad(logp, u)
	sum, product := New(), New()
	for j, v := range u {
		sum.Add(sum, Float(v))
		product.Add(product, New().Mul(Exp(Float(logp[j])), Float(v)))
	}
	for j, v := range u {
		p := Exp(Float(logp[j]))
		want := New().Sub(Float(v), New().Mul(p, sum))
		if d := want.Sub(want, log[j]); !below(d, -380) {
			t.Errorf("of log-softmax, entry %d: off by %g", j, d)
		}
		want = New().Mul(p, New().Sub(Float(v), product))
		if d := want.Sub(want, soft[j]); !below(d, -380) {
			t.Errorf("of softmax, entry %d: off by %g", j, d)
		}
	}
}

func TestError(t *testing.T) {
	for _, c := range []struct{ got, exact, want float64 }{
		{1, 1, 0},
		{1 + 0x1p-52, 1, 1},
		{1 - 0x1p-53, 1, 0.5},
		{-2, -2 + 0x1p-52, 1},
		{0x1p-1074, 0x1p-1073, 1},
		{0, 0x1p-1022, 0x1p52},
		{math.Inf(-1), -1, math.Inf(1)},
		{math.NaN(), -1, math.Inf(1)},
	} {
		if got := Error(c.got, Float(c.exact), Float(c.exact)); got != c.want {
			t.Errorf("Error(%v, %v) = %v, want %v", c.got, c.exact, got, c.want)
		}
	}
	// All digits wrong: 2^52 to 2^53 ulp.
	if got := Error(0, Float(-1e-300), Float(-1e-300)); got < 0x1p52 || got > 0x1p53 {
		t.Errorf("Error(0, -1e-300) = %v", got)
	}
	over := New().SetMantExp(Float(1), 1030)
	if got := Error(math.Inf(1), over, over); got != 0 {
		t.Errorf("Error(+Inf, 2^1030) = %v", got)
	}
	half := New().Add(Float(1), Float(0x1p-54))
	if got := Error(1, half, half); got != 0.25 {
		t.Errorf("Error(1, 1 + 2^-54) = %v, want 0.25", got)
	}
}
