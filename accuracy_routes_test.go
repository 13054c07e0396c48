// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// A routeRow is a row with few entries that are not alike: those at places. All
// other logits are -Inf, all other targets and upstream gradients 0 unless
// background says otherwise.
type routeRow struct {
	classes    int
	places     []int
	x          []float64 // logits
	target     []float64
	upstream   []float64
	weight     []float64 // nil: no class weights
	background float64   // of targets and upstream elsewhere, where logits are low
	low        float64   // the logit there
}

func (r *routeRow) clone() routeRow {
	c := *r
	c.x, c.target, c.upstream = slices.Clone(r.x), slices.Clone(r.target), slices.Clone(r.upstream)
	c.weight = slices.Clone(r.weight)
	return c
}

// spread returns a row of all classes.
func (r *routeRow) spread(values []float64, elsewhere float64) []float64 {
	row := make([]float64, r.classes)
	for j := range row {
		row[j] = elsewhere
	}
	for i, at := range r.places {
		row[at] = values[i]
	}
	return row
}

// routeQuantities are what a routeRow is measured for, with their bounds.
var routeQuantities = []struct {
	name  string
	bound float64
}{
	{"log-probability", maxUlpLogProb},
	{"probability", maxUlpProb},
	{"label's gradient", maxUlpLabelGrad},
	{"distribution's loss", maxUlpLogProb},
	{"distribution's gradient", maxUlpSoftGrad},
	{"smoothed label's gradient", maxUlpSmoothGrad},
	{"smoothed distribution's gradient", maxUlpSmoothGrad},
	{"LogSoftmaxGrad", maxUlpSoftGrad},
	{"SoftmaxGrad", maxUlpSoftmaxGrad},
}

// lnNormal is the logarithm of the least normal number, rounded up.
const lnNormal = -708.39

// measure returns the error of a quantity, along the given dim where there is
// one: eight columns of the same entries.
func (r *routeRow) measure(t *testing.T, quantity, dim int) float64 {
	elsewhere := math.Inf(-1)
	if r.background != 0 {
		elsewhere = r.low
	}
	x := r.spread(r.x, elsewhere)
	matrix := func(row []float64) *mat.Dense {
		if dim == 1 {
			return mat.NewDense(1, len(row), row)
		}
		m := mat.NewDense(len(row), 8, nil)
		for i, v := range row {
			for j := range 8 {
				m.Set(i, j, v)
			}
		}
		return m
	}
	first := func(m *mat.Dense) []float64 {
		if dim == 1 {
			return m.RawRowView(0)
		}
		return mat.Col(nil, 3, m)
	}
	worst := 0.0
	e := exact.NewRow(x)
	// Entries alike have results alike.
	seen := map[float64]bool{}
	each := func(f func(j int)) {
		clear(seen)
		for j, v := range x {
			if slices.Contains(r.places, j) || !seen[v] {
				seen[v] = true
				f(j)
			}
		}
	}
	var got mat.Dense
	opts := logsoftmax.Options{Reduction: logsoftmax.Sum, Weight: nil}
	if r.weight != nil {
		opts.Weight = r.spread(r.weight, 1)
	}
	label := r.places[0]
	switch quantity {
	case 0:
		logsoftmax.LogSoftmax(&got, matrix(x), dim)
		row := first(&got)
		each(func(j int) {
			if want := e.LogProb[j]; want != nil {
				worst = max(worst, exact.Error(row[j], want, want))
			}
		})
	case 1:
		logsoftmax.Softmax(&got, matrix(x), dim)
		row := first(&got)
		each(func(j int) { worst = max(worst, exact.Error(row[j], e.Prob[j], e.Prob[j])) })
	case 2:
		opts.Weight = nil
		if _, err := logsoftmax.CrossEntropyGrad(&got, mat.NewDense(1, len(x), x), []int{label}, &opts); err != nil {
			t.Fatal(err)
		}
		each(func(j int) {
			want := e.Prob[j]
			if j == label {
				want = exact.New().Neg(e.Complement[j])
			}
			worst = max(worst, exact.Error(got.At(0, j), want, want))
		})
	case 3:
		target := r.spread(r.target, r.background)
		loss, err := logsoftmax.SoftCrossEntropyEach(nil, mat.NewDense(1, len(x), x), mat.NewDense(1, len(x), target), nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := e.Loss(exact.Coefficients(target, nil, 0)); want != nil {
			worst = exact.Error(loss[0], want, want)
		}
	case 4:
		opts.Weight = nil
		worst = slices.Max(softGradErrors(t, x, r.spread(r.target, r.background), 0, opts))
	case 5, 6:
		opts.LabelSmoothing = []float64{0.1, 1e-9, 1e-14}[len(r.places)%3]
		var target []float64
		if quantity == 6 {
			target = r.spread(r.target, r.background)
		}
		// Weights whose product with targets or smoothing leaves the range are
		// refused.
		var bad *logsoftmax.ValueError
		if _, err := logsoftmax.CrossEntropy(mat.NewDense(1, len(x), x), []int{label}, &opts); errors.As(err, &bad) {
			return 0
		}
		worst = slices.Max(softGradErrors(t, x, target, label, opts))
	case 7, 8:
		grad, exactly := logsoftmax.LogSoftmaxGrad, exact.LogSoftmaxGrad
		if quantity == 8 {
			grad, exactly = logsoftmax.SoftmaxGrad, exact.SoftmaxGrad
		}
		logsoftmax.LogSoftmax(&got, matrix(x), dim)
		logp := slices.Clone(first(&got))
		u := r.spread(r.upstream, r.background)
		grad(&got, &got, matrix(u), dim)
		// math/big has no log-probability of -Inf: e^-3000 is as little.
		finite := slices.Clone(logp)
		for j, v := range finite {
			finite[j] = max(v, -3000)
		}
		want, unit := exactly(finite, u)
		row := first(&got)
		each(func(j int) {
			if quantity == 8 && logp[j] < lnNormal {
				return
			}
			worst = max(worst, exact.Error(row[j], want[j], unit[j]))
		})
	}
	return worst
}

// String describes a row in full.
func (r *routeRow) String() string {
	return fmt.Sprintf("%d classes, at %v: logits %x, targets %x, upstream %x, weights %x, elsewhere logit %x, target %x",
		r.classes, r.places, r.x, r.target, r.upstream, r.weight, r.low, r.background)
}

// routes are the ways on which rows and columns are worked on, and places in
// them of entries that meet everything that there is on the way.
var routes = []struct {
	name    string
	classes int
	places  []int
}{
	{"two", 2, []int{0, 1}},
	{"packed", 7, []int{0, 1, 2, 3, 4, 5, 6}},
	{"packed, two blocks of lanes", 11, []int{0, 1, 8, 9, 10}},
	{"one chunk", 130, []int{0, 8, 63, 64, 129}},
	{"three chunks", 4100, []int{0, 2047, 2048, 2056, 4099}},
}

// routeKinds make rows of the kinds that are hard.
var routeKinds = []struct {
	name string
	fill func(rnd *rand.Rand, r *routeRow)
}{
	{"normal", func(*rand.Rand, *routeRow) {}},
	{"maxima 0 to 800 apart", func(rnd *rand.Rand, r *routeRow) {
		for i, at := range r.places {
			r.x[i] += 800 * float64(at/2048%2) * rnd.Float64()
			if r.classes <= 2048 {
				r.x[i] -= 800 * rnd.Float64() * float64(i%2)
			}
		}
	}},
	{"maximum about 1600", func(rnd *rand.Rand, r *routeRow) {
		sign := float64(1 - 2*rnd.IntN(2))
		for i := range r.x {
			r.x[i] += 1600 * sign
		}
	}},
	{"losses near the subnormal range", func(rnd *rand.Rand, r *routeRow) {
		for i := 1; i < len(r.x); i++ {
			r.x[i] = r.x[0] - 690 - 40*rnd.Float64()
		}
	}},
	{"two probabilities about one half", func(rnd *rand.Rand, r *routeRow) {
		for i := 2; i < len(r.x); i++ {
			r.x[i] -= 45 * rnd.Float64()
		}
		r.x[1] = r.x[0] + math.Exp(-20*rnd.Float64())*rnd.NormFloat64()
	}},
	{"one dominating coefficient", func(rnd *rand.Rand, r *routeRow) {
		r.x[0] += 200 * rnd.Float64()
		tiny := math.Exp(-70 * rnd.Float64())
		for i := 1; i < len(r.target); i++ {
			r.target[i] *= tiny
			r.upstream[i] *= tiny
		}
		if rnd.IntN(2) == 0 {
			r.background, r.low = tiny*rnd.Float64(), r.x[0]-200*rnd.Float64()
		}
	}},
	{"weights from 1e-300 to 1e300", func(rnd *rand.Rand, r *routeRow) {
		r.weight = make([]float64, len(r.x))
		size := 300 * rnd.Float64()
		for i := range r.weight {
			r.weight[i] = math.Pow(10, size*(2*rnd.Float64()-1))
		}
	}},
}

// TestAccuracyRoutes climbs, on every route and from rows of every hard kind, to
// where each quantity is worst. LOGSOFTMAX_LONG makes it a search of minutes.
func TestAccuracyRoutes(t *testing.T) {
	draws, steps := 1, 0
	if n := testkit.Long(); n > 0 {
		draws, steps = 4, 4*n
	}
	worst := make([]float64, len(routeQuantities))
	at := make([]string, len(routeQuantities))
	for i, route := range routes {
		for k, kind := range routeKinds {
			rnd := rand.New(rand.NewPCG(uint64(i), uint64(k)))
			for q, quantity := range routeQuantities {
				for draw := range draws {
					r := routeRow{classes: route.classes, places: route.places}
					for range route.places {
						r.x = append(r.x, 3*rnd.NormFloat64())
						r.target = append(r.target, rnd.ExpFloat64())
						r.upstream = append(r.upstream, rnd.NormFloat64())
					}
					kind.fill(rnd, &r)
					dim := 1
					if draw%3 == 1 && (q < 2 || q >= 7) {
						dim = 0
					}
					ulps := r.measure(t, q, dim)
					// Rows of any length have about the same time.
					for range steps * max(1, 100/route.classes) {
						next := r.clone()
						switch rnd.IntN(3) {
						case 0:
							mutate(rnd, next.x)
						case 1:
							mutate(rnd, next.target)
							for j, v := range next.target {
								next.target[j] = math.Abs(v)
							}
						default:
							mutate(rnd, next.upstream)
						}
						if u := next.measure(t, q, dim); u >= ulps {
							r, ulps = next, u
						}
					}
					if ulps > worst[q] {
						worst[q], at[q] = ulps, fmt.Sprintf("%s, dim %d, %s: %v", route.name, dim, kind.name, &r)
					}
					if !(ulps <= quantity.bound) {
						t.Errorf("%s, %s, dim %d, %s: %v ulp is more than %v: %v", quantity.name, route.name, dim, kind.name, ulps, quantity.bound, &r)
					}
				}
			}
		}
	}
	for q, quantity := range routeQuantities {
		t.Logf("%-33s %.4f ulp: %s", quantity.name, worst[q], strings.ReplaceAll(at[q], "\n", " "))
	}
}

// TestAccuracyRouteWitnesses has the rows with the largest errors that
// TestAccuracyRoutes found, and these errors.
func TestAccuracyRouteWitnesses(t *testing.T) {
	two := []int{0, 1}
	for _, c := range []struct {
		quantity int
		row      routeRow
		ulps     float64
	}{
		{3, routeRow{
			classes: 2, places: two,
			x:      []float64{-0x1.94cc6517cf001p+00, -0x1.2d4545a975b26p+00},
			target: []float64{0x1.06e7d93546a82p-04, 0x1.ae21a6cbcdc18p+00},
		}, 1.47},
		{4, routeRow{
			classes: 2, places: two,
			x:      []float64{0x1.680567f5ab397p-01, 0x1.6cfc78a4582fep-01},
			target: []float64{0x1.eb54cb95c8cd8p-01, 0x1.fde2bb359ba8dp-01},
		}, 2.13},
		{6, routeRow{
			classes: 2, places: two,
			x:      []float64{0x1.189cbfc138eabp+01, -0x1.431870ee826bbp-01},
			target: []float64{0x1.1985df543d9cp+00, 0x1.c91cfb3534199p+01},
			weight: []float64{0x1.dc75f34af8ecbp+46, 0x1.8f272fe22a908p-16},
		}, 4.49},
		{7, routeRow{
			classes: 11, places: []int{0, 1, 8, 9, 10},
			x: []float64{
				0x1.1f5c5580cbb5bp+00, 0x1.1d8febfbae7fdp+00, -0x1.17a73fcc62e52p+04, 0x1.1d8febfb469fep+00,
				-0x1.0a7da75e8ab26p+04,
			},
			upstream: []float64{
				-0x1.296a46054e52ap-03, -0x1.92208ba5f5ae3p+00, -0x1.8fa448201ccf7p-02, 0x1.5c9667b9223e6p+00,
				0x1.f929a96bbd185p-03,
			},
		}, 2.94},
		{8, routeRow{
			classes: 11, places: []int{0, 1, 8, 9, 10},
			x: []float64{
				0x1.ed3e1f447e529p+00, 0x1.e76180b258cb9p+02, -0x1.680f9d0720487p+01, 0x1.4dd5c59da1c45p+02,
				0x1.0b62250263d76p+01,
			},
			upstream: []float64{
				-0x1.098a55c2269f3p+01, -0x1.3785a44ecde11p+00, 0x1.06af00b71a09bp+00, -0x1.8409e0d7e8401p-04,
				-0x1.0fedc22aba973p+00,
			},
		}, 4.79},
	} {
		name := routeQuantities[c.quantity].name
		if ulps := c.row.measure(t, c.quantity, 1); !(ulps <= c.ulps && c.ulps <= ulps+0.01) {
			t.Errorf("%s: %v ulp, not %v: %v", name, ulps, c.ulps, &c.row)
		}
	}
}
