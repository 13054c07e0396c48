// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Command bench measures how fast and how accurate package logsoftmax is beside
// what people would otherwise use, and makes the tables and pictures of the
// README from what it measured.
//
// It is run from the root of the repository:
//
//	go -C bench run .            measure (about seven minutes), write results, pictures and README
//	go -C bench run . -quick     a pass of a minute, written to a temporary directory
//	go -C bench run . -render    no measurement: pictures and README from the results file
//
// PyTorch and SciPy take part where a Python interpreter has them. All that is
// timed runs on one thread, but for what is marked otherwise.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	quick := flag.Bool("quick", false, "a short pass over fewer shapes, written to a temporary directory unless -dir is given")
	render := flag.Bool("render", false, "measure nothing: make the pictures and the README's sections from the results file")
	dir := flag.String("dir", "", "directory of the repository, where bench/results.json, docs/ and README.md are (default \"..\")")
	limit := flag.Duration("limit", 5*time.Minute, "time for the timings; peers that are very slow may take some more")
	interpreters := flag.String("python", "python3,/usr/bin/python3,python", "interpreters to look for PyTorch and SciPy in")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*quick, *render, *dir, *limit, strings.Split(*interpreters, ",")); err != nil {
		log.Fatal(err)
	}
}

func run(quick, render bool, dir string, limit time.Duration, interpreters []string) error {
	readme := true
	switch {
	case dir != "":
	case quick:
		temp, err := os.MkdirTemp("", "logsoftmax-bench-")
		if err != nil {
			return err
		}
		dir, readme = temp, false
	default:
		dir = ".."
	}
	path := filepath.Join(dir, "bench", "results.json")

	var results *Results
	var err error
	if render {
		results, err = readResults(path)
	} else {
		results, err = measure(quick, limit, interpreters)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o755)
		}
		if err == nil {
			err = results.write(path)
		}
	}
	if err != nil {
		return err
	}
	if err := writePictures(dir, results); err != nil {
		return err
	}
	if readme {
		return updateReadme(filepath.Join(dir, "README.md"), results)
	}
	fmt.Printf("%s\n\n%s\nWritten to %s\n", speedSection(results), accuracySection(results), dir)
	return nil
}

// measure does the whole measurement, accuracy first.
func measure(quick bool, limit time.Duration, interpreters []string) (*Results, error) {
	runtime.GOMAXPROCS(1)
	shapes := []Shape{{4096, 10}, {1024, 1000}, {64, 50257}, {4096, 4096}}
	if quick {
		shapes = shapes[:2]
		limit = min(limit, 30*time.Second)
	}
	python, stop := pythonPeers(interpreters)
	defer stop()
	peers := append(goPeers(), python...)

	samples := samples(quick)
	steps := len(samples) + 2
	for _, s := range shapes {
		steps += passes * rounds * len(groupsOf(s))
	}
	machine := thisMachine()
	if machine.Load > 1 {
		fmt.Fprintf(os.Stderr, "load average %.1f: what else runs on this machine will show in the figures\n", machine.Load)
	}
	bar := newBar(steps)
	r := &Results{Date: time.Now().UTC().Format(time.DateOnly), Quick: quick, Machine: machine, Peers: peers}
	var err error
	if r.Errors, err = measureErrors(peers, samples, bar); err != nil {
		return nil, err
	}
	if r.Gaps, err = measureGaps(peers, bar); err != nil {
		return nil, err
	}
	if r.Hard, err = measureHard(peers, bar); err != nil {
		return nil, err
	}
	r.Speed, err = measureSpeed(peers, shapes, limit, bar)
	return r, err
}
