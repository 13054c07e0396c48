// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"math"
)

// packageConstants are the named constants and the tables of the package, from
// the files of its sources that define numbers.
type packageConstants struct {
	named  map[string]float64
	tables map[string][]uint64 // bits
}

// readConstants reads them from the given files.
func readConstants(files ...string) (*packageConstants, error) {
	set := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, f)
	}
	// What these files need from others, math among it, does not matter here.
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Error: func(error) {}}
	config.Check("logsoftmax", set, parsed, info)
	c := &packageConstants{map[string]float64{}, map[string][]uint64{}}
	for id, object := range info.Defs {
		if k, ok := object.(*types.Const); ok && k.Parent() == k.Pkg().Scope() {
			if v := constant.ToFloat(k.Val()); v.Kind() == constant.Float {
				c.named[id.Name], _ = constant.Float64Val(v)
			}
		}
	}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			list, ok := spec.Values[0].(*ast.CompositeLit)
			if !ok {
				return true
			}
			for _, e := range list.Elts {
				tv := info.Types[e]
				if tv.Value == nil {
					return true
				}
				bits, exact := constant.Uint64Val(constant.ToInt(tv.Value))
				if b, ok := tv.Type.Underlying().(*types.Basic); ok && b.Info()&types.IsFloat != 0 {
					f, _ := constant.Float64Val(constant.ToFloat(tv.Value))
					bits = math.Float64bits(f)
				} else if !exact {
					return true
				}
				c.tables[spec.Names[0].Name] = append(c.tables[spec.Names[0].Name], bits)
			}
			return true
		})
	}
	for _, name := range []string{"power", "powerRest"} {
		if len(c.tables[name]) != 16 {
			return nil, fmt.Errorf("no table %s of 16", name)
		}
	}
	return c, nil
}

// float returns the constant with the given name.
func (c *packageConstants) float(name string) float64 {
	v, ok := c.named[name]
	if !ok {
		panic("no constant " + name)
	}
	return v
}
