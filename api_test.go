// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
)

// packageDoc returns the documentation of the package.
func packageDoc(t *testing.T) (*token.FileSet, *doc.Package) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	p, err := doc.NewFromFiles(fset, files, "example.org/logsoftmax")
	if err != nil {
		t.Fatal(err)
	}
	return fset, p
}

// TestDocumented asks for a comment on the package and on every exported
// identifier, fields and constants included.
func TestDocumented(t *testing.T) {
	_, p := packageDoc(t)
	check := func(name, comment string) {
		if first, _, _ := strings.Cut(name, "."); strings.TrimSpace(comment) == "" && ast.IsExported(first) {
			t.Errorf("%s has no comment", name)
		}
	}
	// begins is for what is found by its name in its comment's first words.
	begins := func(name, comment string) {
		check(name, comment)
		last := name[strings.LastIndex(name, ".")+1:]
		if words := strings.Fields(comment); len(words) > 2 && !slices.Contains(words[:3], last) {
			t.Errorf("the comment on %s begins with %q", name, words[:3])
		}
	}
	values := func(v *doc.Value) {
		for _, spec := range v.Decl.Specs {
			s := spec.(*ast.ValueSpec)
			for _, name := range s.Names {
				if name.IsExported() {
					check(name.Name, v.Doc+s.Doc.Text()+s.Comment.Text())
				}
			}
		}
	}
	check("Package", p.Doc)
	if !strings.HasPrefix(p.Doc, "Package logsoftmax ") {
		t.Errorf("the package's comment begins with %.30q", p.Doc)
	}
	for _, f := range p.Funcs {
		begins(f.Name, f.Doc)
	}
	for _, v := range append(p.Consts, p.Vars...) {
		values(v)
	}
	for _, typ := range p.Types {
		begins(typ.Name, typ.Doc)
		for _, f := range append(typ.Funcs, typ.Methods...) {
			begins(typ.Name+"."+f.Name, f.Doc)
		}
		for _, v := range append(typ.Consts, typ.Vars...) {
			values(v)
		}
		for _, spec := range typ.Decl.Specs {
			structure, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
			if !ok {
				continue
			}
			// A comment on a field goes for those that follow it in its group.
			comment := ""
			for _, field := range structure.Fields.List {
				if c := field.Doc.Text() + field.Comment.Text(); c != "" {
					comment = c
				}
				for _, name := range field.Names {
					if name.IsExported() {
						check(typ.Name+"."+name.Name, comment)
					}
				}
			}
		}
	}
}

// surface returns the exported declarations of the package, without bodies
// and comments, sorted.
func surface(t *testing.T) string {
	t.Helper()
	fset, p := packageDoc(t)
	var lines []string
	add := func(node any) {
		var b bytes.Buffer
		config := printer.Config{Mode: printer.RawFormat}
		if err := config.Fprint(&b, fset, node); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Join(strings.Fields(b.String()), " "))
	}
	function := func(f *doc.Func) {
		f.Decl.Doc, f.Decl.Body = nil, nil
		add(f.Decl)
	}
	values := func(v *doc.Value) {
		typ := ""
		for _, spec := range v.Decl.Specs {
			s := spec.(*ast.ValueSpec)
			if id, ok := s.Type.(*ast.Ident); ok {
				typ = " " + id.Name
			}
			for _, name := range s.Names {
				if name.IsExported() {
					lines = append(lines, v.Decl.Tok.String()+" "+name.Name+typ)
				}
			}
		}
	}
	for _, f := range p.Funcs {
		function(f)
	}
	for _, v := range append(p.Consts, p.Vars...) {
		values(v)
	}
	for _, typ := range p.Types {
		for _, f := range append(typ.Funcs, typ.Methods...) {
			function(f)
		}
		for _, v := range append(typ.Consts, typ.Vars...) {
			values(v)
		}
		for _, spec := range typ.Decl.Specs {
			s := spec.(*ast.TypeSpec)
			structure, ok := s.Type.(*ast.StructType)
			if !ok {
				s.Doc, s.Comment = nil, nil
				lines = append(lines, "type "+typ.Name+" "+fmt.Sprint(s.Type))
				continue
			}
			lines = append(lines, "type "+typ.Name+" struct")
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					if name.IsExported() {
						var b bytes.Buffer
						if err := printer.Fprint(&b, fset, field.Type); err != nil {
							t.Fatal(err)
						}
						lines = append(lines, "field "+typ.Name+"."+name.Name+" "+b.String())
					}
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// TestSurface compares what is exported with testdata/api.txt, so that a
// change of it is a decision: to be written there by hand.
func TestSurface(t *testing.T) {
	want, err := os.ReadFile("testdata/api.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := surface(t)
	if got == string(want) {
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for _, line := range gotLines {
		if !slices.Contains(wantLines, line) {
			t.Errorf("exported, but not in testdata/api.txt: %s", line)
		}
	}
	for _, line := range wantLines {
		if !slices.Contains(gotLines, line) {
			t.Errorf("in testdata/api.txt, but not exported: %s", line)
		}
	}
	if !t.Failed() {
		t.Error("testdata/api.txt is not sorted, or not one line for each declaration")
	}
}

// TestErrorTypes reaches every error type of the package by errors.As, through
// a wrapping, from every function that returns an error.
func TestErrorTypes(t *testing.T) {
	x := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	dist := mat.NewDense(2, 3, []float64{0, 0, 1, 0, -1, 0})
	good := mat.NewDense(2, 3, []float64{0, 0, 1, 0, 1, 0})
	labels, bad := []int{2, 0}, []int{1, 3}
	weight := &logsoftmax.Options{Weight: []float64{1, -1, 1}}
	var dst mat.Dense
	second := func(_ any, err error) error { return err }
	for _, test := range []struct {
		name   string
		call   func() error
		target logsoftmax.TargetError // or
		value  logsoftmax.ValueError
	}{
		{"NLL", func() error { return second(logsoftmax.NLL(x, bad, nil)) }, logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}, logsoftmax.ValueError{}},
		{"NLLEach", func() error { return second(logsoftmax.NLLEach(nil, x, bad, nil)) }, logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}, logsoftmax.ValueError{}},
		{"NLLGrad", func() error { return second(logsoftmax.NLLGrad(&dst, x, bad, nil)) }, logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}, logsoftmax.ValueError{}},
		{"CrossEntropy", func() error { return second(logsoftmax.CrossEntropy(x, bad, nil)) }, logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}, logsoftmax.ValueError{}},
		{"CrossEntropyEach", func() error { return second(logsoftmax.CrossEntropyEach(nil, x, bad, nil)) }, logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}, logsoftmax.ValueError{}},
		{"CrossEntropyGrad", func() error { return second(logsoftmax.CrossEntropyGrad(&dst, x, bad, nil)) }, logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}, logsoftmax.ValueError{}},
		{"ClassCounts", func() error { return second(logsoftmax.ClassCounts(bad, 3, nil)) }, logsoftmax.TargetError{Row: 1, Target: 3, Classes: 3}, logsoftmax.ValueError{}},
		{"NLL, weight", func() error { return second(logsoftmax.NLL(x, labels, weight)) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "Weight", Row: -1, Col: 1, Value: -1}},
		{"CrossEntropy, weight", func() error { return second(logsoftmax.CrossEntropy(x, labels, weight)) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "Weight", Row: -1, Col: 1, Value: -1}},
		{"SoftCrossEntropy", func() error { return second(logsoftmax.SoftCrossEntropy(x, dist, nil)) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "target", Row: 1, Col: 1, Value: -1}},
		{"SoftCrossEntropyEach", func() error { return second(logsoftmax.SoftCrossEntropyEach(nil, x, dist, nil)) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "target", Row: 1, Col: 1, Value: -1}},
		{"SoftCrossEntropyGrad", func() error { return second(logsoftmax.SoftCrossEntropyGrad(&dst, x, dist, nil)) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "target", Row: 1, Col: 1, Value: -1}},
		{"smoothing", func() error {
			return second(logsoftmax.SoftCrossEntropy(x, good, &logsoftmax.Options{LabelSmoothing: 1.5}))
		}, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "LabelSmoothing", Row: -1, Col: -1, Value: 1.5}},
		{"sample weight", func() error {
			return second(logsoftmax.CrossEntropy(x, labels, &logsoftmax.Options{SampleWeight: []float64{1, math.Inf(1)}}))
		}, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "SampleWeight", Row: 1, Col: -1, Value: math.Inf(1)}},
		{"negative sample weight and Mean", func() error {
			return second(logsoftmax.CrossEntropyGrad(&dst, x, labels, &logsoftmax.Options{SampleWeight: []float64{1, -2}}))
		}, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "SampleWeight", Row: 1, Col: -1, Value: -2}},
		{"BalancedWeights", func() error { return second(logsoftmax.BalancedWeights([]float64{1, 0})) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "counts", Row: -1, Col: 1, Value: 0}},
		{"EffectiveNumberWeights", func() error { return second(logsoftmax.EffectiveNumberWeights([]float64{1, 2}, 1)) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "beta", Row: -1, Col: -1, Value: 1}},
		{"Labels", func() error { return second(logsoftmax.Labels(nil, mat.NewVecDense(2, []float64{1, 2.5}))) }, logsoftmax.TargetError{}, logsoftmax.ValueError{Name: "label", Row: 1, Col: -1, Value: 2.5}},
	} {
		err := fmt.Errorf("batch 7: %w", test.call())
		var te *logsoftmax.TargetError
		var ve *logsoftmax.ValueError
		if errors.As(err, &te) && *te == test.target || errors.As(err, &ve) && *ve == test.value {
			if !strings.Contains(err.Error(), "logsoftmax: ") {
				t.Errorf("%s: the message is %q", test.name, err)
			}
			continue
		}
		t.Errorf("%s: error %v", test.name, err)
	}
	if !dst.IsEmpty() {
		t.Error("dst was sized by a function that returned an error")
	}
}

// TestPanics has every panic that is documented happen, with the value that is
// documented, and mat.Maybe catch those that are gonum's.
func TestPanics(t *testing.T) {
	x := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	tall := mat.NewDense(3, 3, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9})
	labels := []int{0, 1}
	var empty mat.Dense
	dst := func() *mat.Dense { return new(mat.Dense) }
	options := func(o logsoftmax.Options) *logsoftmax.Options { return &o }
	type call struct {
		name string
		call func()
	}
	var zeroLength, shape, text []call

	// The functions of matrices with a dim.
	for name, f := range map[string]func(*mat.Dense, mat.Matrix, int){
		"LogSoftmax": logsoftmax.LogSoftmax,
		"Softmax":    logsoftmax.Softmax,
		"LogSoftmaxGrad": func(dst *mat.Dense, x mat.Matrix, dim int) {
			logsoftmax.LogSoftmaxGrad(dst, x, x, dim)
		},
		"SoftmaxGrad": func(dst *mat.Dense, x mat.Matrix, dim int) {
			logsoftmax.SoftmaxGrad(dst, x, x, dim)
		},
	} {
		zeroLength = append(zeroLength, call{name + " of nothing", func() { f(dst(), &empty, 1) }},
			call{name + " of nothing in a bad dim", func() { f(dst(), &empty, 7) }})
		shape = append(shape, call{name + " into another shape", func() { f(mat.NewDense(3, 2, nil), x, 1) }})
		text = append(text,
			call{name, func() { f(dst(), x, 2) }},
			call{name, func() { f(dst(), x, -3) }},
			call{name, func() { f(mat.NewDense(3, 2, nil), x, 2) }}, // the dim comes first
			call{name, func() { f(tall.Slice(0, 2, 0, 3).(*mat.Dense), tall.Slice(1, 3, 0, 3), 1) }},
			call{name, func() { f(tall, tall.T(), 0) }},
		)
	}
	shape = append(shape,
		call{"LogSoftmaxGrad with another upstream", func() { logsoftmax.LogSoftmaxGrad(dst(), x, tall, 1) }},
		call{"SoftmaxGrad with another upstream", func() { logsoftmax.SoftmaxGrad(dst(), x, tall, 1) }},
		call{"LogSumExp into another length, dim 1", func() { logsoftmax.LogSumExp(make([]float64, 3), x, 1) }},
		call{"LogSumExp into another length, dim 0", func() { logsoftmax.LogSumExp(make([]float64, 2), x, 0) }},
		call{"LogSumExp into an empty slice", func() { logsoftmax.LogSumExp([]float64{}, x, 0) }},
	)
	zeroLength = append(zeroLength, call{"LogSumExp of nothing", func() { logsoftmax.LogSumExp(nil, &empty, 1) }})
	text = append(text, call{"LogSumExp", func() { logsoftmax.LogSumExp(nil, x, 5) }})

	// The losses.
	for name, f := range map[string]struct {
		loss func(x mat.Matrix, o *logsoftmax.Options)
		each func(dst []float64, x mat.Matrix, o *logsoftmax.Options)
		grad func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options)
		few  func() // too few targets
	}{
		"NLL": {
			func(x mat.Matrix, o *logsoftmax.Options) { _, _ = logsoftmax.NLL(x, labels, o) },
			func(dst []float64, x mat.Matrix, o *logsoftmax.Options) { _, _ = logsoftmax.NLLEach(dst, x, labels, o) },
			func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options) {
				_, _ = logsoftmax.NLLGrad(dst, x, labels, o)
			},
			func() { _, _ = logsoftmax.NLL(x, labels[:1], nil) },
		},
		"CrossEntropy": {
			func(x mat.Matrix, o *logsoftmax.Options) { _, _ = logsoftmax.CrossEntropy(x, labels, o) },
			func(dst []float64, x mat.Matrix, o *logsoftmax.Options) {
				_, _ = logsoftmax.CrossEntropyEach(dst, x, labels, o)
			},
			func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options) {
				_, _ = logsoftmax.CrossEntropyGrad(dst, x, labels, o)
			},
			func() { _, _ = logsoftmax.CrossEntropy(x, labels[:1], nil) },
		},
		"SoftCrossEntropy": {
			func(x mat.Matrix, o *logsoftmax.Options) {
				_, _ = logsoftmax.SoftCrossEntropy(x, mat.NewDense(2, 3, []float64{1, 0, 0, 0, 1, 0}), o)
			},
			func(dst []float64, x mat.Matrix, o *logsoftmax.Options) {
				_, _ = logsoftmax.SoftCrossEntropyEach(dst, x, mat.NewDense(2, 3, []float64{1, 0, 0, 0, 1, 0}), o)
			},
			func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options) {
				_, _ = logsoftmax.SoftCrossEntropyGrad(dst, x, mat.NewDense(2, 3, []float64{1, 0, 0, 0, 1, 0}), o)
			},
			func() { _, _ = logsoftmax.SoftCrossEntropy(x, tall, nil) },
		},
	} {
		zeroLength = append(zeroLength,
			call{name + " of nothing", func() { f.loss(&empty, nil) }},
			call{name + "Each of nothing", func() { f.each(nil, &empty, nil) }},
			call{name + "Grad of nothing", func() { f.grad(dst(), &empty, nil) }},
		)
		shape = append(shape,
			call{name + " with too few targets", f.few},
			call{name + " with too few class weights", func() { f.loss(x, options(logsoftmax.Options{Weight: []float64{1, 2}})) }},
			call{name + " with too many sample weights", func() { f.loss(x, options(logsoftmax.Options{SampleWeight: make([]float64, 3)})) }},
			call{name + "Each into another length", func() { f.each(make([]float64, 3), x, nil) }},
			call{name + "Each into an empty slice", func() { f.each([]float64{}, x, nil) }},
			call{name + "Grad into another shape", func() { f.grad(mat.NewDense(3, 2, nil), x, nil) }},
			// Shapes come before values.
			call{name + "Grad into another shape, with bad weights", func() {
				f.grad(mat.NewDense(3, 2, nil), x, options(logsoftmax.Options{Weight: []float64{-1, 1, 1}}))
			}},
		)
		text = append(text,
			call{name + "Grad", func() { f.grad(dst(), x, options(logsoftmax.Options{Reduction: 7})) }},
			call{name + "Grad", func() { f.grad(tall.Slice(0, 2, 0, 3).(*mat.Dense), tall.Slice(1, 3, 0, 3), nil) }},
		)
		// A function without a gradient does not read the reduction.
		if v := panicOf(func() { f.loss(x, options(logsoftmax.Options{Reduction: 7})) }); v != nil {
			t.Errorf("%s reads Reduction: panic %v", name, v)
		}
	}

	// The others.
	zeroLength = append(zeroLength,
		call{"ClassCounts of nothing", func() { _, _ = logsoftmax.ClassCounts(nil, 3, nil) }},
		call{"ClassCounts of no classes", func() { _, _ = logsoftmax.ClassCounts(labels, 0, nil) }},
		call{"BalancedWeights of nothing", func() { _, _ = logsoftmax.BalancedWeights(nil) }},
		call{"EffectiveNumberWeights of nothing", func() { _, _ = logsoftmax.EffectiveNumberWeights(nil, 0.5) }},
		call{"Labels of nothing", func() { _, _ = logsoftmax.Labels(nil, new(mat.VecDense)) }},
	)
	shape = append(shape,
		call{"ClassCounts with too few sample weights", func() {
			_, _ = logsoftmax.ClassCounts(labels, 3, options(logsoftmax.Options{SampleWeight: []float64{1}}))
		}},
		call{"Labels into another length", func() { _, _ = logsoftmax.Labels(make([]int, 1), mat.NewVecDense(2, nil)) }},
	)
	negative := []call{{"ClassCounts of -1 classes", func() { _, _ = logsoftmax.ClassCounts(labels, -1, nil) }}}

	for _, kind := range []struct {
		want  mat.Error
		calls []call
	}{{mat.ErrZeroLength, zeroLength}, {mat.ErrShape, shape}, {mat.ErrNegativeDimension, negative}} {
		for _, c := range kind.calls {
			if v := panicOf(c.call); v != kind.want {
				t.Errorf("%s: panic %v, want %v", c.name, v, kind.want)
			} else if err, ok := mat.Maybe(c.call).(mat.ErrorStack); !ok || err.Err != kind.want {
				t.Errorf("%s: mat.Maybe returns %v, want %v", c.name, err.Err, kind.want)
			}
		}
	}
	for _, c := range text {
		if s, ok := panicOf(c.call).(string); !ok || !strings.HasPrefix(s, "logsoftmax: "+c.name+": ") {
			t.Errorf("%s: panic %v, want a string that names the function", c.name, panicOf(c.call))
		}
	}
	if !slices.Equal(labels, []int{0, 1}) {
		t.Errorf("the labels became %v", labels)
	}
}
