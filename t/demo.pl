#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Shows the whole system in a temporary directory: nginx with the module, the
# dispatcher and a webhook receiver.  It publishes events, shows them arriving,
# stops the receiver, lets it heal by polling, and leaves everything running.
# DEMO_ONCE=1 stops everything at the end.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Eventsync qw(wait_for);

$| = 1;

my $t = Test::Eventsync->new(workers => 2, keep => !$ENV{DEMO_ONCE});
my $port = $t->port(0);
my $hook_port = $t->port(1);
my $base = "http://127.0.0.1:$port/v1";
my $listener;
my $shown = 0;                      # bytes of the listener's output shown

say_('A key file, which encrypts the secrets in the store');
my $keys = $t->testdir . '/secret-keys';
my $make = "(umask 077; openssl rand -base64 32 > $keys)";
system('sh', '-c', $make) == 0 or die "$make failed\n";
detail($make);
local $ENV{EVENTSYNC_KEY_FILE} = $keys;

say_("A store, a feed, a partner with a key, in @{[$t->testdir]}");
$t->store_init(sealed => 1)->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders',
    scopes => 'read,publish');
my ($endpoint, $secret) = $t->endpoint('acme', feeds => 'orders',
    url => "http://127.0.0.1:$hook_port/hook", ordering => 'none');
detail("feed orders, partner acme, endpoint $endpoint");

say_('nginx with the module (two workers), the dispatcher, a receiver');
$t->default_conf(http => <<'LIMITS', server => <<'CONF');
    eventsync_limit poll rate=10r/s burst=100;
    eventsync_limit publish rate=100r/s burst=10000;
    eventsync_limit backfill rate=1g/h;
    eventsync_limit waits max=50;
    eventsync_limit address rate=60r/m burst=60;
LIMITS
        location /ops/ {
            eventsync_health on;
            eventsync_metrics on;
            eventsync_auth off;
        }
CONF
$t->run_nginx;
$t->run_dispatcher('--key-file', $keys, '--verify-endpoints=http');
start_listener();
detail("$base and http://127.0.0.1:$hook_port/hook");

say_('Three events are published over HTTP; 201 means they are on disk');
publish('order.created', 1 .. 3);

say_('They arrive by poll');
my $page = $t->poll('orders', key => $key, from => 'oldest');
detail("$_->{cursor}  $_->{type}  $_->{subject}") for @{ $page->{events} };
detail("next: $page->{next}");

say_('And by webhook, signed and verified by `eventsyncctl listen`');
heard(qw(order/1 order/2 order/3));

say_('A long-poll waits at that cursor; one more event wakes it');
my $call = $t->http_start(GET => "/v1/feeds/orders/events?after=$page->{next}"
    . '&wait=20', { authorization => "Bearer $key" });
publish('order.paid', 4);
my $woken = Test::Eventsync::json($t->http_end($call)->{body});
detail("$_->{cursor}  $_->{type}  $_->{subject}") for @{ $woken->{events} };
heard('order/4');

say_('The receiver goes down; three events are published meanwhile');
$listener->stop('TERM');
publish('order.shipped', 5 .. 7);

say_('It comes back; the next webhook shows the gap, and a poll heals it');
start_listener();
publish('order.closed', 8);
heard(map { "order/$_" } 5 .. 8);

say_('The store is verified');
detail($_) for split /\n/, $t->ctl_ok('verify');

if ($ENV{DEMO_ONCE}) {
    my @faults = $t->stop;
    die "in a log: @faults\n" if @faults;
    print "\nStopped, since DEMO_ONCE is set.\n";
    exit 0;
}

my @pids = $t->detach;
my $stop = $t->write_file('stop', "#!/bin/sh\nkill -TERM @pids\n");
chmod 0755, $stop;
my $ctl = "$t->{build}/eventsyncctl --store @{[$t->store]} --key-file $keys";
print <<"EOF_TEXT";

Everything goes on running.  To try it:

  KEY=$key
  curl -H "Authorization: Bearer \$KEY" '$base/feeds'
  curl -H "Authorization: Bearer \$KEY" '$base/feeds/orders/events?from=oldest'
  curl -H "Authorization: Bearer \$KEY" '$base/feeds/orders/events?from=latest&wait=30'
  curl -H "Authorization: Bearer \$KEY" -H 'Content-Type: application/cloudevents+json' \\
    -d '{"specversion":"1.0","id":"mine-1","source":"/me","type":"order.created","data":{"n":9}}' \\
    '$base/feeds/orders/events'
  curl 'http://127.0.0.1:$port/ops/readyz'
  curl 'http://127.0.0.1:$port/ops/metrics'
  $ctl endpoint list
  tail -f $listener->{out}      # webhooks as they arrive

To stop and remove everything:

  $stop; rm -rf @{[$t->testdir]}
EOF_TEXT
exit 0;

###############################################################################

sub say_ { print "\n== $_[0]\n" }
sub detail { print "   $_[0]\n" }

sub publish {
    my ($type, @numbers) = @_;

    my $answer = $t->publish('orders', { key => $key }, map { {
        id => "evt-$_", source => '/shop', type => $type,
        subject => "order/$_", data => { order => $_, total => 10 * $_ }
    } } @numbers);
    die "status $answer->{status}: $answer->{body}\n"
        if $answer->{status} != 201;
    detail("201  $_->{id}  $_->{cursor}") for @{ $answer->{json}{results} };
}

# The receiver keeps its cursor in a file and continues from it.
sub start_listener {
    $listener = $t->ctl_start('listen', "--port=$hook_port",
        "--secret=$secret", "--poll=$base", "--key=$key",
        '--state=' . $t->testdir . '/cursor');
    wait_for(sub { Test::Eventsync::port_open($hook_port) }, 10)
        or die "the receiver did not start: " . $listener->stderr;
    $shown = 0;
}

# Waits until the receiver has printed each subject, and shows its output.
sub heard {
    my (@subjects) = @_;

    wait_for(sub {
        my $text = $listener->stdout;
        return !grep { $text !~ /\b\Q$_\E\b/ } @subjects;
    }, 30) or die "the receiver did not receive @subjects:\n"
        . $listener->stdout . $listener->stderr;
    my $text = substr $listener->stdout, $shown;
    $shown += length $text;
    detail($_) for split /\n/, $text;
}
