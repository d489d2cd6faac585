// A client for Leases that remembers with which write a candidate got its Lease: client-go has no fencing token, but the
// version of that write is one, and with it the journals of all candidates can be put in one order.
package main

import (
	"context"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
)

type leases struct {
	client   coordinationv1client.LeasesGetter
	identity string
	// The version of the first Lease that was stored with the own identity: a program that loses it ends.
	acquired atomic.Pointer[string]
}

func newLeases(config *rest.Config, requestTimeout time.Duration, identity string) (*leases, error) {
	own := rest.CopyConfig(config)
	own.Timeout = requestTimeout
	client, err := coordinationv1client.NewForConfig(rest.AddUserAgent(own, "leader-election"))
	if err != nil {
		return nil, err
	}
	return &leases{client: client, identity: identity}, nil
}

func (l *leases) token() string {
	if version := l.acquired.Load(); version != nil {
		return *version
	}
	return ""
}

// Leases implements coordinationv1client.LeasesGetter.
func (l *leases) Leases(namespace string) coordinationv1client.LeaseInterface {
	return &noting{LeaseInterface: l.client.Leases(namespace), leases: l}
}

type noting struct {
	coordinationv1client.LeaseInterface
	leases *leases
}

func (n *noting) Create(
	ctx context.Context, lease *coordinationv1.Lease, options metav1.CreateOptions,
) (*coordinationv1.Lease, error) {
	stored, err := n.LeaseInterface.Create(ctx, lease, options)
	n.note(stored, err)
	return stored, err
}

func (n *noting) Update(
	ctx context.Context, lease *coordinationv1.Lease, options metav1.UpdateOptions,
) (*coordinationv1.Lease, error) {
	stored, err := n.LeaseInterface.Update(ctx, lease, options)
	n.note(stored, err)
	return stored, err
}

func (n *noting) note(stored *coordinationv1.Lease, err error) {
	if err != nil || stored.Spec.HolderIdentity == nil || *stored.Spec.HolderIdentity != n.leases.identity {
		return
	}
	n.leases.acquired.CompareAndSwap(nil, &stored.ResourceVersion)
}
