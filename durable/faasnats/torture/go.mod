module github.com/inproc/faas/durable/faasnats/torture

go 1.26.0

require (
	github.com/google/uuid v1.6.0
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/inproc/faas v0.0.0-00010101000000-000000000000
	github.com/inproc/faas/durable/faasnats v0.0.0-00010101000000-000000000000
	github.com/inproc/faas/durable/faasnats/embed v0.0.0-00010101000000-000000000000
	github.com/inproc/faas/trigger/faascron v0.0.0-00010101000000-000000000000
	github.com/nats-io/nats-server/v2 v2.15.3
	github.com/nats-io/nats.go v1.55.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/adhocore/gronx v1.20.0 // indirect
	github.com/antithesishq/antithesis-sdk-go v0.9.0-default-no-op // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/nats-io/jwt/v2 v2.8.3 // indirect
	github.com/nats-io/nkeys v0.4.17 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/panjf2000/ants/v2 v2.12.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/inproc/faas => ../../../

replace github.com/inproc/faas/durable/faasnats => ../

replace github.com/inproc/faas/durable/faasnats/embed => ../embed

replace github.com/inproc/faas/trigger/faascron => ../../../trigger/faascron
