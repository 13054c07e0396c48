// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package sweep

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
	"example.org/logsoftmax/bench/internal/plain"
)

// Kind says what a job is measured against.
type Kind int

const (
	// Plain calls are to be PlainFloor times as fast as their loop.
	Plain Kind = iota
	// Optioned calls, with options or of functions that read two matrices, are
	// to be OptionFloor times as fast as their loop.
	Optioned
	// Reading calls only add up numbers, without a function of them: there is
	// nothing in them to be much faster at.
	Reading
)

// Job is an operation with its options, and the plain loop that does the same.
type Job struct {
	Name string
	Kind Kind
	Of   string  // the call without options
	Cost float64 // at most so many times that; 0 for no such claim
	Down bool    // columns instead of rows: takes two rows at least, and no layouts
	ours func(d *data) func()
	loop func(d *data) func()
}

// Call returns the package's call of the job on a dense matrix.
func (j *Job) Call(rows, cols int) func() { return j.ours(newData(new(pool), rows, cols, Dense)) }

const smoothing = 0.1

// Jobs is what is swept, in the order of the tables.
var Jobs = []Job{
	{
		Name: "LogSoftmax",
		ours: func(d *data) func() { return func() { logsoftmax.LogSoftmax(d.dst, d.x, 1) } },
		loop: func(d *data) func() { return func() { plain.LogSoftmax(d.dst, d.x) } },
	},
	{
		Name: "LogSoftmax, dim 0", Down: true,
		ours: func(d *data) func() { return func() { logsoftmax.LogSoftmax(d.dst, d.x, 0) } },
		loop: func(d *data) func() {
			c := plain.NewColumnSums(d.cols)
			return func() { plain.LogSoftmaxColumns(d.dst, d.x.(*mat.Dense), c) }
		},
	},
	{
		Name: "Softmax",
		ours: func(d *data) func() { return func() { logsoftmax.Softmax(d.dst, d.x, 1) } },
		loop: func(d *data) func() { return func() { plain.Softmax(d.dst, d.x) } },
	},
	{
		Name: "Softmax, dim 0", Down: true,
		ours: func(d *data) func() { return func() { logsoftmax.Softmax(d.dst, d.x, 0) } },
		loop: func(d *data) func() {
			c := plain.NewColumnSums(d.cols)
			return func() { plain.SoftmaxColumns(d.dst, d.x.(*mat.Dense), c) }
		},
	},
	{
		Name: "LogSumExp",
		ours: func(d *data) func() { return func() { logsoftmax.LogSumExp(d.each, d.x, 1) } },
		loop: func(d *data) func() { return func() { plain.LogSumExp(d.each, d.x) } },
	},
	crossEntropy("CrossEntropy", Plain, "", 0, false, none),
	crossEntropy("CrossEntropy, smoothing", Optioned, "CrossEntropy", 1.8, false, smoothed),
	crossEntropy("CrossEntropyGrad", Plain, "", 0, true, none),
	crossEntropy("CrossEntropyGrad, Weight", Optioned, "CrossEntropyGrad", 1.3, true, weighted),
	crossEntropy("CrossEntropyGrad, SampleWeight", Optioned, "CrossEntropyGrad", 1.3, true, sampleWeighted),
	crossEntropy("CrossEntropyGrad, one label ignored", Optioned, "CrossEntropyGrad", 1.3, true, oneIgnored),
	crossEntropy("CrossEntropyGrad, smoothing", Optioned, "CrossEntropyGrad", 1.8, true, smoothed),
	crossEntropy("CrossEntropyGrad, all options", Optioned, "CrossEntropyGrad", 1.8, true, allOptions),
	{
		Name: "SoftCrossEntropyGrad", Kind: Optioned, Of: "CrossEntropyGrad", Cost: 1.8,
		ours: func(d *data) func() {
			soft := d.softTarget()
			return func() { must(logsoftmax.SoftCrossEntropyGrad(d.dst, d.x, soft, nil)) }
		},
		loop: func(d *data) func() {
			soft := d.softTarget()
			return func() { sink = plain.SoftCrossEntropyGrad(d.dst, d.x, soft) }
		},
	},
	{
		Name: "LogSoftmaxGrad", Kind: Optioned,
		ours: func(d *data) func() {
			logp, u := d.logProbabilities(), d.upstream()
			return func() { logsoftmax.LogSoftmaxGrad(d.dst, logp, u, 1) }
		},
		loop: func(d *data) func() {
			logp, u := d.logProbabilities(), d.upstream()
			return func() { plain.LogSoftmaxGrad(d.dst, logp, u) }
		},
	},
	{
		Name: "SoftmaxGrad", Kind: Optioned,
		ours: func(d *data) func() {
			logp, u := d.logProbabilities(), d.upstream()
			return func() { logsoftmax.SoftmaxGrad(d.dst, logp, u, 1) }
		},
		loop: func(d *data) func() {
			logp, u := d.logProbabilities(), d.upstream()
			return func() { plain.SoftmaxGrad(d.dst, logp, u) }
		},
	},
	{
		Name: "NLL, smoothing", Kind: Reading,
		ours: func(d *data) func() {
			logp, opts := d.logProbabilities(), &logsoftmax.Options{LabelSmoothing: smoothing}
			return func() { must(logsoftmax.NLL(logp, d.target, opts)) }
		},
		loop: func(d *data) func() {
			logp := d.logProbabilities()
			return func() { sink = plain.NLL(logp, d.target, smoothing) }
		},
	},
}

// optionsOf makes the options of a job, for the package and for the loop.
type optionsOf func(d *data) (*logsoftmax.Options, *plain.Options)

func none(*data) (*logsoftmax.Options, *plain.Options) { return nil, &plain.Options{Ignore: -100} }

func weighted(d *data) (*logsoftmax.Options, *plain.Options) {
	w := weightsOf(d.cols)
	return &logsoftmax.Options{Weight: w}, &plain.Options{Weight: w, Ignore: -100}
}

func sampleWeighted(d *data) (*logsoftmax.Options, *plain.Options) {
	s := weightsOf(d.rows)
	return &logsoftmax.Options{SampleWeight: s}, &plain.Options{SampleWeight: s, Ignore: -100}
}

func oneIgnored(*data) (*logsoftmax.Options, *plain.Options) {
	return &logsoftmax.Options{Ignore: []int{1}}, &plain.Options{Ignore: 1}
}

func smoothed(*data) (*logsoftmax.Options, *plain.Options) {
	return &logsoftmax.Options{LabelSmoothing: smoothing}, &plain.Options{Smoothing: smoothing, Ignore: -100}
}

func allOptions(d *data) (*logsoftmax.Options, *plain.Options) {
	w, s := weightsOf(d.cols), weightsOf(d.rows)
	return &logsoftmax.Options{Weight: w, SampleWeight: s, Ignore: []int{1}, LabelSmoothing: smoothing},
		&plain.Options{Weight: w, SampleWeight: s, Ignore: 1, Smoothing: smoothing}
}

func crossEntropy(name string, kind Kind, of string, cost float64, gradient bool, options optionsOf) Job {
	return Job{
		Name: name, Kind: kind, Of: of, Cost: cost,
		ours: func(d *data) func() {
			opts, _ := options(d)
			if gradient {
				return func() { must(logsoftmax.CrossEntropyGrad(d.dst, d.x, d.target, opts)) }
			}
			return func() { must(logsoftmax.CrossEntropy(d.x, d.target, opts)) }
		},
		loop: func(d *data) func() {
			_, opts := options(d)
			dst := d.dst
			if !gradient {
				dst = nil
			}
			return func() { sink = plain.CrossEntropy(dst, d.x, d.target, opts) }
		},
	}
}

// sink keeps what a loop returns.
var sink float64

func must(l logsoftmax.Loss, err error) {
	if err != nil {
		panic(err) // the data are this program's own
	}
	sink = l.Mean()
}

// Layout is how the matrices of a job lie in memory.
type Layout string

const (
	Dense      Layout = "dense"
	InPlace    Layout = "in place"
	View       Layout = "view of odd stride"
	Transposed Layout = "transposed"
	Foreign    Layout = "foreign"
)

// Layouts are those that are swept beside Dense, for the jobs LayoutJobs.
var (
	Layouts    = []Layout{InPlace, View, Transposed, Foreign}
	LayoutJobs = []string{"LogSoftmax", "CrossEntropy", "CrossEntropyGrad", "SoftCrossEntropyGrad", "LogSoftmaxGrad"}
)

// foreign is a matrix of a type that the package does not know.
type foreign struct{ mat.Matrix }

func (f foreign) T() mat.Matrix { return mat.Transpose{Matrix: f} }

// pool is the memory of all data: shapes differ, and numbers are used again.
type pool struct {
	x, dst, target, logp, up []float64
	labels                   []int
}

func (p *pool) grow(n int) {
	if len(p.x) >= n {
		return
	}
	rng := rand.New(rand.NewPCG(1, 2))
	p.x, p.up = make([]float64, n), make([]float64, n)
	for i := range p.x {
		p.x[i], p.up[i] = rng.NormFloat64(), rng.NormFloat64()
	}
	p.dst, p.target, p.logp = make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		p.dst[i], p.target[i], p.logp[i] = 1, 1, 1 // memory that is there
	}
	p.labels = make([]int, n)
}

// data is what a job works on.
type data struct {
	rows, cols int
	layout     Layout
	pool       *pool
	x          mat.Matrix
	dst        *mat.Dense
	target     []int
	each       []float64
	keep       []float64  // of x, where a call writes over it
	soft, logp mat.Matrix // made when first asked for
}

func newData(p *pool, rows, cols int, layout Layout) *data {
	d := &data{rows: rows, cols: cols, layout: layout, pool: p}
	p.grow(rows * d.stride())
	rng := rand.New(rand.NewPCG(3, uint64(cols)))
	d.target = p.labels[:rows]
	for i := range d.target {
		d.target[i] = rng.IntN(cols)
	}
	d.each = make([]float64, rows)
	d.x, d.dst = d.matrix(p.x), d.dense(p.dst)
	if layout == InPlace {
		d.dst = d.x.(*mat.Dense)
		d.keep = append([]float64(nil), p.x[:rows*cols]...)
	}
	return d
}

// stride is odd for views, and greater than the number of columns.
func (d *data) stride() int {
	if d.layout == View {
		return d.cols + 1 + d.cols%2
	}
	return d.cols
}

// dense returns a Dense of the shape, a view with a stride where the layout says so.
func (d *data) dense(v []float64) *mat.Dense {
	s := d.stride()
	return mat.NewDense(d.rows, s, v[:d.rows*s]).Slice(0, d.rows, 0, d.cols).(*mat.Dense)
}

// matrix returns an input matrix in the layout.
func (d *data) matrix(v []float64) mat.Matrix {
	switch d.layout {
	case Transposed:
		return mat.NewDense(d.cols, d.rows, v[:d.rows*d.cols]).T()
	case Foreign:
		return foreign{d.dense(v)}
	}
	return d.dense(v)
}

// fill writes f of normal numbers to the memory v, and returns it as a matrix
// in the layout.
func (d *data) fill(v []float64, f func(dst *mat.Dense, x mat.Matrix, dim int)) mat.Matrix {
	if d.layout == Transposed {
		f(mat.NewDense(d.cols, d.rows, v[:d.rows*d.cols]), mat.NewDense(d.cols, d.rows, d.pool.up[:d.rows*d.cols]), 0)
	} else {
		f(d.dense(v), d.dense(d.pool.up), 1)
	}
	return d.matrix(v)
}

// softTarget returns distributions over the classes.
func (d *data) softTarget() mat.Matrix {
	if d.soft == nil {
		d.soft = d.fill(d.pool.target, logsoftmax.Softmax)
	}
	return d.soft
}

// logProbabilities returns log-probabilities.
func (d *data) logProbabilities() mat.Matrix {
	if d.logp == nil {
		d.logp = d.fill(d.pool.logp, logsoftmax.LogSoftmax)
	}
	return d.logp
}

// upstream returns gradients that come from above, the destination itself where
// the call is in place.
func (d *data) upstream() mat.Matrix {
	if d.layout == InPlace {
		return d.dst
	}
	return d.matrix(d.pool.up)
}

// restore undoes what a call in place did.
func (d *data) restore() { copy(d.pool.x, d.keep) }

// weightsOf returns n weights about 1.
func weightsOf(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 0.5 + float64(i%7)/7
	}
	return w
}
