// A leader-election candidate as programs write it with client-go: it elects on one Lease, works every few milliseconds
// while it leads, and ends when it has lost the lead or was told to end (SIGTERM). Its work is told to stop and not awaited,
// which is all that client-go offers. What it does is in its journal.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const lost = 1

func main() {
	kubeconfig := flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "path of the kubeconfig file")
	namespace := flag.String("namespace", "default", "namespace of the Lease")
	name := flag.String("lease", "", "name of the Lease")
	identity := flag.String("identity", "", "holderIdentity of this candidate")
	journalPath := flag.String("journal", "", "file to write the journal to")
	leaseDuration := flag.Duration("lease-duration", 15*time.Second, "")
	renewDeadline := flag.Duration("renew-deadline", 10*time.Second, "")
	retryPeriod := flag.Duration("retry-period", 2*time.Second, "")
	releaseOnCancel := flag.Bool("release-on-cancel", false, "release the Lease on the way out")
	requestTimeout := flag.Duration("request-timeout", 0, "how long one request may take; none by default, as in client-go's example")
	tickEvery := flag.Duration("tick-every", 20*time.Millisecond, "how often leader work is done")
	flag.Parse()

	notes, err := openJournal(*journalPath, *identity)
	if err != nil {
		log.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	leases, err := newLeases(config, *requestTimeout, *identity)
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: *namespace, Name: *name},
			Client:     leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: *identity},
		},
		LeaseDuration:   *leaseDuration,
		RenewDeadline:   *renewDeadline,
		RetryPeriod:     *retryPeriod,
		ReleaseOnCancel: *releaseOnCancel,
		Name:            *name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { work(ctx, notes, leases.token(), *tickEvery) },
			OnNewLeader:      notes.status,
			OnStoppedLeading: func() {
				if ctx.Err() == nil {
					os.Exit(lost)
				}
			},
		},
	})
}

func work(ctx context.Context, notes *journal, token string, tickEvery time.Duration) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	notes.work("Started", token)
	for ctx.Err() == nil {
		notes.work("Tick", token)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	notes.work("Stopping", token)
	notes.work("Ended", token)
}
