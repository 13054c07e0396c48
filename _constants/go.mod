module example.org/logsoftmax/_constants

go 1.26
