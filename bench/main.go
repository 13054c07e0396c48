// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Command bench measures how fast and how accurate package logsoftmax is beside
// what people would otherwise use, and makes the tables and pictures of the
// README and of docs/ from what it measured.
//
// It is run from the root of the repository:
//
//	go -C bench run .            measure (some 15 minutes), written to a temporary directory
//	go -C bench run . -quick     a pass of two minutes, likewise
//	go -C bench run . -write     measure, and put results, pictures and tables into the repository
//	go -C bench run . -render    no measurement: pictures and tables of the repository from its results
//
// PyTorch, SciPy and scikit-learn take part where bench/peers.sh has installed
// them, or else where a Python interpreter of the machine has them. All that is
// timed runs on one thread, but for what is marked otherwise.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"example.org/logsoftmax/bench/internal/sweep"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	o := options{interpreters: interpreters()}
	flag.BoolVar(&o.quick, "quick", false, "a short pass over fewer shapes")
	flag.BoolVar(&o.write, "write", false, "replace the repository's results, pictures and tables")
	flag.BoolVar(&o.render, "render", false, "measure nothing: make the repository's pictures and tables from its results")
	flag.DurationVar(&o.limit, "limit", 7*time.Minute, "time for the timings beside peers; those that are very slow may take some more")
	python := flag.String("python", "", "Python interpreter that has the peers (default: that of bench/peers.sh, then the machine's)")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q: there are flags only, see -help", flag.Arg(0))
	}
	if *python != "" {
		o.interpreters = []string{*python}
	}
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

type options struct {
	quick, write, render bool
	limit                time.Duration
	interpreters         []string
}

// root is the repository, as seen from the directory of this module.
const root = ".."

func run(o options) error {
	switch {
	case o.quick && o.write:
		return errors.New("-quick is for looking: the repository's results are those of a whole pass")
	case o.render:
		r, err := readResults(filepath.Join(root, resultsFile))
		if err != nil {
			return err
		}
		return publish(root, r)
	}
	r, err := measure(o)
	if err != nil {
		return err
	}
	dir := root
	if !o.write {
		if dir, err = os.MkdirTemp("", "logsoftmax-bench-"); err != nil {
			return err
		}
		for _, p := range pages { // with the markers of the tables
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p.path)))
			if err != nil {
				return err
			}
			path := filepath.Join(dir, filepath.FromSlash(p.path))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
				return err
			}
		}
	}
	path := filepath.Join(dir, resultsFile)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), r.write(path)); err != nil {
		return err
	}
	fmt.Println("written:", path)
	return publish(dir, r)
}

// publish makes pictures and tables below dir.
func publish(dir string, r *Results) error {
	if err := writePictures(dir, r); err != nil {
		return err
	}
	return updatePages(dir, r)
}

// measure does the whole measurement, accuracy first.
func measure(o options) (*Results, error) {
	runtime.GOMAXPROCS(1)
	list := cases
	if o.quick {
		list = quickCases
		o.limit = min(o.limit, 30*time.Second)
	}
	python, stop := pythonPeers(o.interpreters)
	defer stop()
	peers := append(goPeers(), python...)

	samples := samples(o.quick)
	steps := len(samples) + 4
	for _, c := range list {
		steps += passes * rounds * len(c.groups())
	}
	machine := thisMachine()
	if machine.Load > 1 {
		fmt.Fprintf(os.Stderr, "load average %.1f: what else runs on this machine will show in the figures\n", machine.Load)
	}
	bar := newBar(steps)
	r := &Results{Date: time.Now().UTC().Format(time.DateOnly), Quick: o.quick, Machine: machine, Peers: peers}
	var err error
	if r.Errors, r.Zeros, err = measureErrors(peers, samples, bar); err != nil {
		return nil, err
	}
	if r.Gaps, err = measureGaps(peers, bar); err != nil {
		return nil, err
	}
	if r.Hard, err = measureHard(peers, bar); err != nil {
		return nil, err
	}
	if r.Speed, err = measureSpeed(peers, list, o.limit, bar); err != nil {
		return nil, err
	}
	if r.Memory, err = measureMemory(peers, list, bar); err != nil {
		return nil, err
	}
	bar.describe("sweep")
	r.Sweep = sweepRows(measureSweep(o.quick))
	bar.step()
	return r, nil
}

// measureSweep sweeps the jobs over all widths, and the layouts over some.
func measureSweep(quick bool) []sweep.Cell {
	dense := sweep.Config{
		Jobs: sweep.Jobs, Layouts: []sweep.Layout{sweep.Dense}, Sizes: append([]int{sweep.Small}, sweep.Sizes...),
		Widths: sweep.Widths, Threads: 1, Samples: 5,
	}
	some := []int{2, 10, 65, 100, 1000, 50257}
	layouts := dense
	layouts.Layouts, layouts.Sizes, layouts.Widths = sweep.Layouts, []int{1 << 17}, some
	if quick {
		dense.Sizes, dense.Widths, dense.Samples = []int{1 << 13}, some, 3
		layouts.Sizes, layouts.Widths = []int{1 << 13}, some[:3]
	}
	var cells []sweep.Cell
	for _, c := range []*sweep.Config{&dense, &layouts} {
		sweep.Run(c, func(c sweep.Cell) { cells = append(cells, c) })
	}
	return cells
}
