// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package source reads what the kernels have to know of the package that they
// are written for: its constants, and where the fields of its structs are.
package source

import (
	"errors"
	"go/ast"
	"go/build"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// The package that the kernels are written for, and where it is.
const (
	Name      = "kernel"
	Directory = "../internal/kernel"
)

// A Package is a package as an architecture has it.
type Package struct {
	types *types.Package
	sizes types.Sizes
}

// Read reads the package of the architecture in dir. A file of overlay stands
// for the one of that name.
func Read(dir, goarch string, overlay map[string][]byte) (*Package, error) {
	context := build.Default
	context.GOARCH = goarch
	context.BuildTags = nil
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, path := range names {
		name := filepath.Base(path)
		if strings.HasSuffix(name, "_test.go") || overlay[name] != nil {
			continue
		}
		if ok, err := context.MatchFile(dir, name); err != nil || !ok {
			if err != nil {
				return nil, err
			}
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	for name, text := range overlay {
		f, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, errors.New("no Go files in " + dir)
	}
	// What the files need from other packages does not matter here, nor what
	// they need from files that are still to be written.
	config := types.Config{Error: func(error) {}, Importer: nothing{}}
	p := &Package{sizes: types.SizesFor("gc", goarch)}
	p.types, _ = config.Check(files[0].Name.Name, set, files, nil)
	return p, nil
}

// nothing imports no package.
type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	return nil, errors.New("not imported: " + path)
}

// Float is the constant of that name, as a float64.
func (p *Package) Float(name string) (x float64, ok bool) {
	c, ok := p.types.Scope().Lookup(name).(*types.Const)
	if !ok {
		return 0, false
	}
	v := constant.ToFloat(c.Val())
	if v.Kind() != constant.Float {
		panic(name + " is no number, or follows from another package")
	}
	x, _ = constant.Float64Val(v)
	return x, true
}

// Offset is where a field of a struct is, in bytes: of its field of the first
// name, the field of the second, and so on.
func (p *Package) Offset(name string, path ...string) int {
	return p.field(name, path).offset
}

// Size is how many bytes a struct has or, if a path is given, its field.
func (p *Package) Size(name string, path ...string) int {
	of := p.field(name, path).of
	mustBeKnown(of)
	return int(p.sizes.Sizeof(of))
}

// Signature parses the signature of a function of the package, which begins with
// func.
func (p *Package) Signature(text string) *types.Signature {
	tv, err := types.Eval(token.NewFileSet(), p.types, token.NoPos, text)
	if err != nil {
		panic(text + ": " + err.Error())
	}
	return tv.Type.(*types.Signature)
}

// Types is the package, of which only what stands in its own files is known.
func (p *Package) Types() *types.Package { return p.types }

// Arguments returns where the parameters and results of a function are that is
// in assembly, and how many bytes they are.
func (p *Package) Arguments(s *types.Signature) (offsets map[string]int, bytes int) {
	offsets = map[string]int{}
	for _, list := range []*types.Tuple{s.Params(), s.Results()} {
		bytes = (bytes + 7) &^ 7
		for v := range list.Variables() {
			size, align := int(p.sizes.Sizeof(v.Type())), int(p.sizes.Alignof(v.Type()))
			bytes = (bytes + align - 1) &^ (align - 1)
			offsets[v.Name()] = bytes
			bytes += size
		}
	}
	return offsets, bytes
}

// Comment is text in lines of a comment, without their slashes.
func Comment(text string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+word) > 75 {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

type field struct {
	of     types.Type
	offset int
}

func (p *Package) field(name string, path []string) field {
	object, ok := p.types.Scope().Lookup(name).(*types.TypeName)
	if !ok {
		panic("no type " + name)
	}
	f := field{of: object.Type()}
	for _, part := range path {
		s, ok := f.of.Underlying().(*types.Struct)
		if !ok {
			panic(f.of.String() + " is no struct")
		}
		var fields []*types.Var
		at := -1
		for i := range s.NumFields() {
			fields = append(fields, s.Field(i))
			if at < 0 {
				mustBeKnown(s.Field(i).Type())
			}
			if s.Field(i).Name() == part {
				at = i
			}
		}
		if at < 0 {
			panic(f.of.String() + " has no field " + part)
		}
		f.offset += int(p.sizes.Offsetsof(fields)[at])
		f.of = s.Field(at).Type()
	}
	return f
}

// mustBeKnown panics if the size of a type follows from another package.
func mustBeKnown(t types.Type) {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		if u.Kind() == types.Invalid {
			panic("a type of another package")
		}
	case *types.Array:
		mustBeKnown(u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			mustBeKnown(f.Type())
		}
	}
}
