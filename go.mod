module example.org/logsoftmax

// The older of the two releases that the Go project supports; golang.org/x/sys
// asks for it as well.
go 1.26.0

require (
	golang.org/x/sys v0.50.0
	gonum.org/v1/gonum v0.17.0
)
