package logsoftmax

import (
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestZZ(t *testing.T) {
	x := mat.NewDense(2, 5, []float64{2.0017240047454834, -0.48061320185661316, -0.16262857615947723, -0.42289957404136658, -1.3143819570541382, -0.3741181492805481, 0.077360592782497406, -0.78514420986175537, -0.2291262298822403, -1.095805287361145})
	var d mat.Dense
	for _, dim := range []int{0, 1} {
		LogSoftmax(&d, x, dim)
		fmt.Printf("%.4f\n", mat.Formatted(&d))
	}
	l, err := CrossEntropy(x, []int{2, 1}, nil)
	fmt.Println(l.Mean(), err)
	l, err = NLL(&d, []int{2, 1}, nil)
	fmt.Println(l.Mean(), err)
	// two classes by gap
	worst := 0.0
	var wg float64
	rng := rand.New(rand.NewSource(1))
	one := new(big.Float).SetPrec(300).SetInt64(1)
	_ = one
	for i := 0; i < 20000; i++ {
		g := rng.Float64() * 40
		d.Reset()
		LogSoftmax(&d, mat.NewDense(1, 2, []float64{0, -g}), 1)
		// log1p(e^-g) exact via big: e^-g series
		e := bigExp(-g)
		want := bigLog1p(e)
		w, _ := want.Float64()
		diff, _ := new(big.Float).Sub(new(big.Float).SetPrec(300).SetFloat64(-d.At(0, 0)), want).Float64()
		_, ex := math.Frexp(w)
		u := math.Abs(diff) / math.Ldexp(1, ex-53)
		if u > worst {
			worst, wg = u, g
		}
	}
	fmt.Println("worst", worst, wg)
}

func bigExp(x float64) *big.Float {
	k := 0
	r := new(big.Float).SetPrec(300).SetFloat64(x)
	for k = 0; k < 12; k++ {
		r.Quo(r, big.NewFloat(2))
	}
	s := new(big.Float).SetPrec(300).SetInt64(1)
	t := new(big.Float).SetPrec(300).SetInt64(1)
	for j := 1; j < 40; j++ {
		t.Mul(t, r)
		t.Quo(t, new(big.Float).SetPrec(300).SetInt64(int64(j)))
		s.Add(s, t)
	}
	for ; k > 0; k-- {
		s.Mul(s, s)
	}
	return s
}

func bigLog1p(u *big.Float) *big.Float {
	two := new(big.Float).SetPrec(300).SetInt64(2)
	z := new(big.Float).SetPrec(300).Quo(u, new(big.Float).SetPrec(300).Add(two, u))
	s := new(big.Float).SetPrec(300)
	p := new(big.Float).SetPrec(300).Set(z)
	z2 := new(big.Float).SetPrec(300).Mul(z, z)
	for j := 1; j < 160; j += 2 {
		s.Add(s, new(big.Float).SetPrec(300).Quo(p, new(big.Float).SetPrec(300).SetInt64(int64(j))))
		p.Mul(p, z2)
	}
	return s.Mul(s, two)
}
