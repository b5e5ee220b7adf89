module github.com/inproc/faas/bench

go 1.26.0

require (
	github.com/alitto/pond/v2 v2.7.1
	github.com/aws/aws-lambda-go v1.55.1
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/inproc/faas v0.0.0-00010101000000-000000000000
	github.com/panjf2000/ants/v2 v2.12.1
	golang.org/x/sync v0.24.0
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/google/uuid v1.6.0 // indirect
)

replace github.com/inproc/faas => ../
