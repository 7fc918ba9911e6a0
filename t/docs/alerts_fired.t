#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Every alert of docs/alerts.yml fires at its fault and resolves when the
# commands of its runbook have been run: a real Prometheus, and a store, nginx
# and dispatcher for each group of faults.  All faults happen at the same time.
# Test::Eventsync::Prometheus has the shorter times of the rules, and
# Test::Eventsync::Runbook what stands for the programs that need systemd.

use warnings;
use strict;

use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Alerts;
use Test::Eventsync::Prometheus;
use Test::Eventsync::Proxy;
use Test::Eventsync::Runbook;
use Test::Eventsync::Webhooks;

my ($faketime) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
plan skip_all => 'prometheus is not there' if !Test::Eventsync::Prometheus::program();
plan skip_all => 'needs faketime' if !$faketime;
plan skip_all => 'other libraries are preloaded' if Test::Eventsync->new->sanitized;

# The order of runbooks.md: a store without a dispatcher has alerts of its own.
my (%site, @cases, %never);
my $main = site('main', location => 'eventsync_endpoints on;', prepare => \&certificates,
    server => 'listen 127.0.0.1:%%PORT_1%% ssl; ssl_certificate %%TESTDIR%%/server.pem; '
        . 'ssl_certificate_key %%TESTDIR%%/server.key; location = /hook { return 204; }',
    opts => [ '--tls-dir=%%TESTDIR%%/etc/tls', '--ca-file=%%TESTDIR%%/trusted.pem',
        '--verify-endpoints=http' ]);
faults_of_server($main);
faults_of_endpoints($main);
faults_of_certificates($main);
faults_of_retention($main);
faults_of_operational_events($main);
fault_of_dispatcher();
fault_of_nginx();
faults_of_full_store();
faults_of_disk();
faults_of_readers();
fault_of_reader();
faults_of_clock();
fault_of_proxy();
faults_of_slow_disk();
fault_of_packing();
fault_of_heads();

my %missing = map { $_->{alert} => 1 } alerts();
delete @missing{ map({ $_->{name} } @cases), keys %never };
is_deeply([ sort keys %missing ], [], 'each alert has its fault');

my $prometheus = Test::Eventsync::Prometheus->start($main->{t},
    { job => 'eventsync', path => '/v1/metrics',
        sites => [ map { { instance => $_->{name},
            target => '127.0.0.1:' . $_->{t}->port(0) } } values %site ] },
    { job => 'node', path => '/probe.prom', sites => [ { instance => 'probe',
        target => '127.0.0.1:' . $main->{t}->port(0) } ] });
ok(wait_for(sub { my %up = $prometheus->query('up'); (grep { defined } values %up)
    == 1 + keys %site }, 60), 'Prometheus scrapes') or BAIL_OUT($prometheus->process->stderr);

play();
inline_commands();

$_->{t}->stop_dispatcher for values %site;
done_testing();

###############################################################################
# sites and cases

# A store, nginx and a dispatcher.  Options: `location` and `server` of nginx's
# configuration; `opts` of the dispatcher, and `dispatcher_env`; a library to
# `preload` into nginx; `prepare`, which is called first; `map_max`; `disk`, the
# size of a disk of its own.
sub site {
    my ($name, %opts) = @_;
    my $t = Test::Eventsync->new;
    my $dir = $t->testdir;
    my $s = $site{$name} = { t => $t, name => $name, opts => [], %opts };

    if ($opts{disk}) {
        $t->small_disk("$dir/disk", $opts{disk}) or return delete $site{$name}, undef;
        $t->{store} = "$dir/disk/store";
    }
    $t->store_init;
    $t->write_file('store/format', $t->read_file('store/format')
        =~ s/^map_initial .*/map_initial 1048576/mr =~ s/^map_max .*/map_max $opts{map_max}/mr)
        if $opts{map_max};
    $t->feed('orders');
    $t->partner($_, feeds => '*') for qw(acme ops);
    $opts{prepare}->($t) if $opts{prepare};
    $_ = $t->expand($_) for @{ $s->{opts} };
    $t->default_conf(main => 'env ES_FAULT; env ES_UNSYNCHRONIZED; env FAKETIME_NO_CACHE; '
        . 'env FAKETIME_TIMESTAMP_FILE; env FAKETIME_DONT_FAKE_MONOTONIC;',
        location => ($opts{location} // ''), http => "access_log $dir/access.log;",
        server => ($opts{server} // '') . ' location = /v1/metrics '
            . '{ eventsync_metrics endpoints; eventsync_auth off; } '
            . "location = /v1/healthz { eventsync_health on; } "
            . "location = /probe.prom { root $dir; default_type text/plain; }");
    my $fault = $t->build . '/fault.so';
    $opts{dispatcher_env} = { ES_FAULT => "$dir/fault", LD_PRELOAD => $fault } if $opts{slow};
    $opts{preload} = $fault if $opts{slow};
    $s->{env} = { ES_FAULT => "$dir/fault", LD_PRELOAD => join(':', $t->build . '/clock.so', $opts{preload} // ()),
        ES_UNSYNCHRONIZED => "$dir/unsynchronized", FAKETIME_NO_CACHE => 1,
        FAKETIME_TIMESTAMP_FILE => "$dir/clock", FAKETIME_DONT_FAKE_MONOTONIC => 1 };
    $t->replace_file('clock', '+0s');
    $t->run_nginx(env => $s->{env});
    $t->run_dispatcher({ env => $opts{dispatcher_env} // {} }, @{ $s->{opts} });
    $s->{runbook} = Test::Eventsync::Runbook->new($t, systemctl => sub { systemctl($s, @_) },
        timedatectl => sub { timedatectl($s, @_) }, adduser => sub { (0, '') });
    $s->{runbook}{env} = $s->{env};
    return $s;
}

# Starts and stops what the test's unit of this name stands for.
sub systemctl {
    my ($s, $action, @args) = @_;
    my $t = $s->{t};
    my @units = grep { !/^-/ } @args;
    my $running = sub { $t->{$_[0]} && $t->{$_[0]}->running };
    my $out = '';

    for my $unit (map { s/^eventsync-(?=dispatcher)//r } @units) {
        if ($unit =~ /^eventsync-probe/) {
            $s->{probe}->($action) if $s->{probe};
        } elsif ($action eq 'status') {
            $out .= "$unit: " . ($running->($unit) ? 'active' : 'inactive') . "\n";
        } elsif ($unit eq 'nginx') {
            $t->run_nginx(env => $s->{env}) if $action eq 'start' && !$running->('nginx');
        } elsif ($unit eq 'dispatcher' && $action =~ /^(?:re)?start$/) {
            $t->stop_dispatcher if $action eq 'restart';
            $t->run_dispatcher(@{ $s->{opts} }) if !$running->('dispatcher');
        }
    }
    return (0, $out);
}

sub timedatectl {
    my ($s, @args) = @_;
    if ("@args" eq 'set-ntp true') {
        $s->{t}->replace_file('clock', '+0s');
        unlink $s->{t}->testdir . '/unsynchronized';
    }
    return (0, -e $s->{t}->testdir . '/unsynchronized'
        ? "System clock synchronized: no\n" : "System clock synchronized: yes\n");
}

# The fault of an alert, which is there already or which `drive` makes, called
# again and again.  `check`: what the commands of the runbook must print; `names`
# stand for those of the page; `remedy`: what its sentences ask for besides the
# commands, before these; `then`: what the remedy must have brought about;
# `with`: other alerts that must fire before the remedy.
sub alert {
    my ($s, $name, %case) = @_;
    push @cases, { name => $name, site => $s, state => 'cause', names => {}, with => [],
        instance => $s->{name}, %case };
    return $#cases;
}

sub of_case {
    my ($case, $firing) = @_;
    return grep {
        my $alert = $_;
        $alert->{labels}{alertname} eq $case->{name}
            && $alert->{labels}{instance} eq $case->{instance}
            && !grep { ($alert->{labels}{$_} // '') ne $case->{labels}{$_} }
                keys %{ $case->{labels} // {} }
    } @$firing;
}

# Plays all cases side by side: fire, check, mend, resolve.
sub play {
    my $end = time + 300;
    my %state = map { $_->{name} => 'cause' } @cases;
    while (time < $end && grep { $_->{state} ne 'resolved' } @cases) {
        drive();
        my $firing = $prometheus->firing or next;
        for my $case (@cases) {
            my ($alert) = of_case($case, $firing);
            if ($case->{state} eq 'cause' && $alert) {
                fired($case, $alert);
            } elsif ($case->{state} eq 'checked') {
                mend($case) if !grep { $state{$_} eq 'cause' } @{ $case->{with} };
            } elsif ($case->{state} eq 'mended' && !$alert) {
                $case->{state} = 'resolved';
                $case->{resolved} = time - $^T;
            }
            $state{ $case->{name} } = $case->{state};
        }
        sleep 0.2;
    }
    for my $case (@cases) {
        is($case->{state}, 'resolved', "$case->{name} fires and resolves")
            or diag(how_far($case));
    }
    if ($ENV{TEST_ES_TIMES}) {
        note(sprintf '%-40s %3d %3d', $_->{name}, $_->{fired} // -1, $_->{resolved} // -1)
            for sort { ($a->{resolved} // 0) <=> ($b->{resolved} // 0) } @cases;
    }

    # The other stores are on the machine's disk, which other programs may fill.
    my $left;
    ok(wait_for(sub {
        drive();
        $left = $prometheus->firing or return 0;
        @$left = grep { $_->{labels}{alertname} ne 'EventsyncDiskFilling'
            || $_->{labels}{instance} eq 'disk' } @$left;
        return !@$left;
    }, 30), 'no other alert is left')
        or diag(map { "$_->{labels}{alertname} at $_->{labels}{instance}\n" } @$left);
}

sub how_far {
    my ($case) = @_;
    my ($alert) = of_case($case, $prometheus->firing // []);
    return sprintf 'It fired after %s s and was mended after %s s; after %d s it is %s.',
        (map { defined ? int : '-' } @$case{qw(fired mended)}), time - $^T,
        $alert ? "$alert->{value}, firing since $alert->{activeAt}" : 'gone';
}

sub drive { $_->{drive} && $_->{drive}->($_->{state}) for @cases }

sub fired {
    my ($case, $alert) = @_;
    my ($name, $s) = @$case{qw(name site)};
    $case->{fired} = time - $^T;
    unlike($alert->{annotations}{summary}, qr/<no value>|error/i,
        "$name: $alert->{annotations}{summary}");
    is($alert->{annotations}{runbook_url}, runbook_url($name), 'with its runbook');

    $case->{names} = { $case->{names}->() } if ref $case->{names} eq 'CODE';
    my ($said, @bad) = $s->{runbook}->run($name, 'Check', %{ $case->{names} });
    is_deeply(\@bad, [], "$name: the commands of the check");
    like($said, $case->{check}, 'show it') if $case->{check};
    $case->{state} = 'checked';
}

sub mend {
    my ($case) = @_;
    my ($name, $s) = @$case{qw(name site)};
    $case->{remedy}->() if $case->{remedy};
    my (undef, @bad) = $s->{runbook}->run($name, 'Remedy', %{ $case->{names} });
    is_deeply(\@bad, [], "$name: the commands of the remedy");
    ok(wait_for($case->{then}, 30), 'have their effect') if $case->{then};
    $case->{state} = 'mended';
    $case->{mended} = time - $^T;
}

# What the sentences name is run at the end, because it removes things.
sub inline_commands {
    for my $case (@cases) {
        my @bad;
        for my $line (Test::Eventsync::Runbook::inline($case->{name})) {
            my ($rc, $out) = $case->{site}{runbook}->line($line, %{ $case->{names} });
            push @bad, "$line: exit $rc: $out" if Test::Eventsync::Runbook::bad($line, $rc, $out);
        }
        is_deeply(\@bad, [], "$case->{name}: the commands in its sentences");
    }
}

sub repaired { my ($s) = @_; return sub { $s->{t}->write_file('repaired', '') } }

###############################################################################
# the faults

sub faults_of_server {
    my ($s) = @_;
    my $t = $s->{t};
    my $limited = $t->partner_key('slow', scopes => 'read', feeds => '*');
    $t->ctl_ok('partner', 'change', 'slow', '--limit-poll=1r/m');
    my $poll = sub { $t->http(GET => '/v1/feeds/orders/events',
        { authorization => "Bearer $limited" })->{status} };
    alert($s, 'EventsyncPartnerLimited', names => { acme => 'slow' }, check => qr{1r/m},
        labels => { policy => 'poll' },
        drive => sub { $poll->() for 1 .. ($_[0] eq 'cause' ? 20 : 0) },
        then => sub { $poll->() == 200 });

    alert($s, 'EventsyncClientErrors', labels => { resource => 'feeds' }, check => qr/401/,
        drive => sub { $_[0] eq 'cause' && $t->http(GET => '/v1/feeds',
            { authorization => 'Bearer esk_gone' }) });

    $t->partner('ends', feeds => '*');
    my $time = sub { strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0] * 86400)) };
    my ($id) = $t->ctl_ok('key', 'create', 'ends', '--scopes=read', '--expires=' . $time->(1))
        =~ /esk_(\w{10})/;
    alert($s, 'EventsyncKeyExpires', labels => { scope => 'read' },
        check => qr/key $id of ends expires/,
        names => { KEY => $id, acme => 'ends', TIME => $time->(90) });

    $t->feed('prices');
    put($t, 'prices', 1);
    alert($s, 'EventsyncProducerSilent', check => qr/prices|partner/,
        drive => sub { $_[0] =~ /^(?:mended|resolved)$/ && put($t, 'prices', 1) });
}

sub faults_of_endpoints {
    my ($s) = @_;
    my $t = $s->{t};
    my $dir = $t->testdir;
    my $recv = $t->receiver(sub {
        my ($request) = @_;
        return 200 if -e "$dir/repaired" || $request->{path} eq '/well';
        my %status = ('/stopped' => 410, '/rejects' => 400);
        return $status{ $request->{path} } // 500;
    });
    my $endpoint = sub { my ($path, %opts) = @_;
        return scalar $t->endpoint('acme', url => $recv->url("/$path"), feeds => 'orders',
            schedule => '0,1h', %opts) };

    my $stopped = $endpoint->('stopped');
    my $rejects = $endpoint->('rejects', ordering => 'fifo');
    my $failing = $endpoint->('failing', schedule => '0' . ',2s' x 15);
    my $dead = $endpoint->('dead', schedule => '0');
    my $manage = $t->partner_key('acme', scopes => 'read,manage');
    put($t, 'orders', 1);

    alert($s, 'EventsyncEndpointStopped', names => { 'ep_…' => $stopped },
        labels => { endpoint => $stopped }, check => qr/410/, remedy => repaired($s));
    alert($s, 'EventsyncEndpointFailing', names => { 'ep_…' => $failing },
        labels => { endpoint => $failing }, check => qr/500/, remedy => repaired($s));
    alert($s, 'EventsyncEndpointStalled', check => qr/status=400/, names => sub {
        my ($cursor) = $t->ctl_ok('endpoint', 'status', $rejects) =~ /stalled:.* cursor=(\S+)/;
        return ('ep_…' => $rejects, 'k3f9-41' => $cursor);
    });
    alert($s, 'EventsyncDeadLetters', names => { 'ep_…' => $dead }, check => qr/status=500/,
        remedy => repaired($s), drive => sub { $_[0] eq 'cause' && put($t, 'orders', 1) });

    my $agrees = scalar $t->http(POST => '/v1/endpoints', { authorization => "Bearer $manage",
        'content-type' => 'application/json' }, qq({"url":"@{[ $recv->url('/well') ]}",)
        . '"feeds":["orders"]}');
    my ($unverified) = $agrees->{body} =~ /(ep_\w+)/;
    alert($s, 'EventsyncEndpointUnverified', names => { 'ep_…' => $unverified },
        labels => { endpoint => $unverified }, check => qr/unverified/);

    # The receiver takes longer than the feed has promised.
    $t->feed('brisk', fresh_within => '5ms');
    my $slow = $t->receiver(sub { return { status => 200, delay => 0.05 } });
    my $late = $t->endpoint('acme', url => $slow->url('/late'), feeds => 'brisk');
    alert($s, 'EventsyncFeedNotFresh', names => { 'ep_…' => $late, prices => 'brisk' },
        labels => { feed => 'brisk', channel => 'webhook' }, check => qr/fresh_within_ms":5\b/,
        drive => sub { $_[0] eq 'cause' && put($t, 'brisk', 1) });

    $t->feed('bulk');
    my $behind = $endpoint->('well', feeds => 'bulk', start => 'oldest');
    $t->ctl_ok('endpoint', 'pause', $behind);
    put($t, 'bulk', 10_001);
    alert($s, 'EventsyncBacklogGrowing', names => { 'ep_…' => $behind, orders => 'bulk' },
        check => qr/behind=10\d\d\d/, drive => sub { $_[0] eq 'cause' && put($t, 'bulk', 5) });
}

sub certificates {
    my ($t) = @_;
    my $dir = $t->testdir;
    mkdir $_ for "$dir/etc", "$dir/etc/tls";
    certificate($t, 'IP:127.0.0.1', file => $_->[0], days => $_->[1])
        for [ 'server', 10 ], [ 'renewed', 90 ], [ 'acme', 1 ], [ 'renewed-acme', 90 ];
    renew($t, 'etc/tls/acme', 'acme');
    $t->write_file('trusted.pem', $t->read_file('server.pem') . $t->read_file('renewed.pem'));
}

sub renew {
    my ($t, $old, $new) = @_;
    $t->write_file("$old.$_", $t->read_file("$new.$_")) for qw(pem key);
}

sub faults_of_certificates {
    my ($s) = @_;
    my $t = $s->{t};
    my @url = (url => 'https://127.0.0.1:' . $t->port(1) . '/hook', feeds => 'orders');
    my $server = $t->endpoint('acme', @url);
    my $client = $t->endpoint('acme', @url, client_cert => 'acme.pem', client_key => 'acme.key');
    put($t, 'orders', 1);
    alert($s, 'EventsyncCertificateExpires', names => { 'ep_…' => $server },
        labels => { endpoint => $server, certificate => 'receiver' },
        check => qr/certificate receiver: expires=/,
        remedy => sub { renew($t, 'server', 'renewed'); $t->reload });
    alert($s, 'EventsyncCertificateExpiresSoon', names => { 'ep_…' => $client },
        labels => { endpoint => $client, certificate => 'client' },
        check => qr/certificate client: expires=/,
        remedy => sub { renew($t, 'etc/tls/acme', 'renewed-acme') });
}

sub faults_of_retention {
    my ($s) = @_;
    my $t = $s->{t};
    my $recv = $t->receiver(200);
    my %named;
    for my $feed (qw(tight lost)) {
        $t->feed($feed, retain_count => 10);
        $named{$feed} = $t->endpoint('acme', url => $recv->url, feeds => $feed,
            start => 'oldest');
        $t->ctl_ok('endpoint', 'pause', $named{$feed});
    }
    put($t, 'tight', 9);
    alert($s, 'EventsyncRetentionNear', check => qr/feed=tight/,
        names => { 'ep_…' => $named{tight}, orders => 'tight' });
    alert($s, 'EventsyncEventsLost', check => qr/without delivery/,
        names => { 'ep_…' => $named{lost}, orders => 'lost' },
        remedy => sub { $t->ctl_ok('endpoint', 'resume', $named{lost}) },
        drive => sub { $_[0] eq 'cause' && put($t, 'lost', 12) });
}

sub faults_of_operational_events {
    my ($s) = @_;
    my $t = $s->{t};
    $t->feed('told-ops');
    $t->partner('told', feeds => 'orders', operations => 'told-ops');
    my $dead = $t->endpoint('told', url => 'http://127.0.0.1:1/', feeds => 'orders',
        schedule => '0');
    $t->ctl_ok('feed', 'remove', 'told-ops');
    alert($s, 'EventsyncOperationalEventsDropped', check => qr/told-ops/,
        names => { 'ep_…' => $dead, acme => 'told', 'acme-ops' => 'told-ops' },
        drive => sub { $_[0] eq 'cause' && put($t, 'orders', 1) });
}

sub fault_of_dispatcher {
    my $s = site('down');
    my $t = $s->{t};
    $t->feed('aged', retain_age => '1s');
    put($t, 'aged', 5);
    $t->stop_dispatcher;
    alert($s, 'EventsyncDispatcherDown', check => qr/^fail +dispatcher/m,
        with => [ 'EventsyncRetentionNotApplied' ]);
    alert($s, 'EventsyncRetentionNotApplied', check => qr/overdue/,
        names => { prices => 'aged' }, with => [ 'EventsyncDispatcherDown' ]);
}

sub fault_of_nginx {
    my $s = site('gone');
    my $t = $s->{t};
    my $dir = $t->testdir;
    my @probe = ('probe', "--state=$dir/etc/probe", "--metrics=$dir/probe.prom",
        '--channels=poll,webhook', '--for=1s');
    $t->ctl_ok('probe', '--setup', "--state=$dir/etc/probe",
        '--port=' . Test::Eventsync::free_port(),
        '--url=http://127.0.0.1:' . $t->port(0) . '/v1/');
    symlink "$dir/probe.prom", $main->{t}->testdir . '/probe.prom';
    $t->stop_nginx;
    $t->ctl(@probe);
    $s->{probe} = sub { $_[0] eq 'enable' && $t->background('timer', sub {
        $t->ctl(@probe) while !$t->told_to_end && sleep 3;
    }) };
    alert($s, 'EventsyncDown', check => qr/Connection refused|Could not connect|Failed to connect/,
        with => [qw(EventsyncProbeFailed EventsyncProbeLate)]);
    alert($s, 'EventsyncProbeFailed', instance => 'probe', check => qr/poll|publish/);
    alert($s, 'EventsyncProbeLate', instance => 'probe', check => qr/probe\.prom/);
}

# A map that is full: publishers get 507, and operational events wait.
sub faults_of_full_store {
    my $s = site('full', map_max => 8 << 20);
    my $t = $s->{t};
    $t->ctl_ok(qw(feed change orders --pack=off));     # it would give room back
    $t->feed('acme-ops');
    $t->ctl_ok('partner', 'change', 'acme', '--operations=acme-ops');
    $t->ctl_ok('partner', 'change', 'acme', '--publish=orders');
    my $key = $t->partner_key('acme', scopes => 'publish');
    put($t, 'orders', 1_050);
    my $publish = sub {
        my ($bytes) = @_;
        return $t->http(POST => '/v1/feeds/orders/events', { authorization => "Bearer $key",
            'content-type' => 'application/cloudevents+json' },
            $t->event(data => { x => 'x' x $bytes }))->{status};
    };
    for my $bytes (200_000, 20_000, 2_000, 10) {
        1 while $publish->($bytes) == 201;
    }
    my $dead = $t->endpoint('acme', url => 'http://127.0.0.1:1/', feeds => 'orders',
        start => 'oldest', schedule => '0', ordering => 'none', in_flight => 64);
    my $room = sub { $t->write_file('store/format', $t->read_file('store/format')
        =~ s/^map_max .*/map_max 268435456/mr) };
    my @all = qw(EventsyncServerErrors EventsyncStoreNearlyFull
        EventsyncOperationalEventsWaiting);
    alert($s, 'EventsyncServerErrors', labels => { resource => 'publish' }, with => \@all,
        drive => sub { $_[0] eq 'cause' && $publish->(10) }, check => qr/store is full|map/,
        remedy => $room, then => sub { $publish->(10) == 201 });
    alert($s, 'EventsyncStoreNearlyFull', labels => { environment => 'log' }, with => \@all,
        check => qr/map_max/, remedy => $room);
    alert($s, 'EventsyncOperationalEventsWaiting', with => \@all, check => qr/full/,
        remedy => sub { $room->(); $t->ctl_ok('endpoint', 'remove', $dead) });
}

sub faults_of_disk {
    my $s = site('disk', disk => '64m');
    if (!$s) {
        $never{$_} = 1 for qw(EventsyncDiskFilling EventsyncDiskNearlyFull);
        diag('no disk can be mounted: two alerts are not tried');
        return;
    }
    my $t = $s->{t};
    my $ballast = $t->testdir . '/disk/ballast';
    my $fill = sub { my ($bytes) = @_;
        open my $fh, '>>', $ballast or die "$ballast: $!\n";
        print $fh 'x' x $bytes; close $fh };
    my $filling = alert($s, 'EventsyncDiskFilling', check => qr/ballast|%/,
        with => [ 'EventsyncDiskNearlyFull' ], remedy => sub { unlink $ballast },
        drive => sub { $_[0] eq 'cause' && $fill->(65_536) });
    my $done;
    alert($s, 'EventsyncDiskNearlyFull', check => qr/9\d%/,
        with => [ 'EventsyncDiskFilling' ], remedy => sub { unlink $ballast },
        drive => sub {
            return if $done || $_[0] ne 'cause' || $cases[$filling]{state} eq 'cause';
            my ($free) = qx(df -B1 --output=avail $t->{store}) =~ /(\d+)\s*\z/;
            $fill->($free - (1 << 20));
            $done = 1;
        });
}

sub faults_of_readers {
    my $s = site('readers', opts => [ '--max-per-host=1' ]);
    my $t = $s->{t};
    my $dir = $t->testdir;
    my $readers = $t->start('readers', {}, $t->build . '/helper/readers', $t->store, 900);
    alert($s, 'EventsyncReadersNearlyFull', check => qr/readers/,
        remedy => sub { $readers->stop('KILL') });

    my $recv = $t->receiver(sub { return { status => 200, delay => 0.02 } });
    my @busy = map { scalar $t->endpoint('acme', url => $recv->url("/$_"), feeds => 'busy',
        ordering => 'none') } 1 .. 3 if $t->feed('busy');
    alert($s, 'EventsyncHostsBusy', names => { 'ep_…' => $busy[0] }, check => qr/127\.0\.0\.1/,
        drive => sub { $_[0] eq 'cause' && put($t, 'busy', 20) });
}

# A backup that is stopped while it reads.
sub fault_of_reader {
    my $s = site('reader');
    my $t = $s->{t};
    my $dir = $t->testdir;
    put($t, 'orders', map { { data => 'x' x 200_000 } } 1 .. 20);
    my $backup = $t->ctl_start('backup', '--rate=1m', "$dir/backup");
    wait_for(sub { grep { -s } glob "$dir/backup*/*/*" }, 20) or die "no backup\n";
    $backup->kill('STOP');
    $t->ctl_ok({ stdin => join '', map { $t->event . "\n" } 1 .. 1002 },
        'publish', 'orders', '--batch=1');
    alert($s, 'EventsyncReadDoesNotEnd', names => { PID => $backup->pid }, check => qr/ T\w* /,
        then => sub { !$backup->running });
}

sub faults_of_clock {
    my $s = site('clock', preload => $faketime);
    my $t = $s->{t};
    put($t, 'orders', 1);
    $t->replace_file('clock', '+2h');
    $t->write_file('unsynchronized', '');
    my @both = qw(EventsyncClockWrong EventsyncClockUnsynchronized);
    alert($s, 'EventsyncClockWrong', labels => { direction => 'ahead' }, check => qr/no/,
        with => \@both);
    alert($s, 'EventsyncClockUnsynchronized', check => qr/synchronized: no/, with => \@both);
}

# Something stands where the dispatcher writes the heads of the audit.
sub fault_of_heads {
    my $s = site('heads', prepare => sub {
        my ($t) = @_;
        my $dir = $t->testdir;
        mkdir $_ or die "$_: $!" for grep { !-d } "$dir/etc", "$dir/audit",
            "$dir/audit/heads.json.new";
        system("openssl genpkey -algorithm ed25519 -out $dir/etc/audit.pem 2>/dev/null "
            . "&& openssl pkey -in $dir/etc/audit.pem -pubout -out $dir/etc/audit.pub "
            . "&& chmod 600 $dir/etc/audit.pem") == 0 or die;
    }, opts => [ '--audit-key=%%TESTDIR%%/etc/audit.pem',
        '--audit-heads=%%TESTDIR%%/audit/heads.json' ]);
    my $dir = $s->{t}->testdir;
    $s->{t}->allow_errors(qr/cannot sign the heads/);
    alert($s, 'EventsyncAuditHeadsNotSigned', check => qr/cannot sign the heads/,
        remedy => sub {
            rmdir "$dir/audit/heads.json.new";
            wait_for(sub { -s "$dir/audit/heads.json" }, 30);
        });
}

# A disk that cannot sync what the dispatcher packs.
sub fault_of_packing {
    my $s = site('packing', slow => 1);
    my $t = $s->{t};
    $t->write_file('fault', "sync /log/data.mdb\n");
    put($t, 'orders', 2_000);
    alert($s, 'EventsyncHistoryNotPacked', check => qr/cannot pack feed "orders"/,
        remedy => sub { unlink $t->testdir . '/fault' },
        then => sub { $t->ctl_ok(qw(feed pack orders --json)) =~ /"pages":0/ });
}

sub fault_of_proxy {
    my $port = Test::Eventsync::free_port();
    my $s = site('proxy', opts => [ "--proxy=http://127.0.0.1:$port" ]);
    my $t = $s->{t};
    my $recv = $t->receiver(200);
    my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders');
    put($t, 'orders', 1);
    alert($s, 'EventsyncAllEndpointsStalled', labels => { reason => 'proxy' },
        names => { 'ep_…' => $endpoint }, check => qr/proxy/,
        remedy => sub { push @{ $t->{receivers} }, Test::Eventsync::Proxy->start(
            answer => sub { undef }, dir => $t->testdir, port => $port) },
        then => sub { $recv->count > 0 });
}

sub faults_of_slow_disk {
    my $s = site('late', slow => 1);
    my $t = $s->{t};
    my $mend = sub { unlink $t->testdir . '/fault' };
    alert($s, 'EventsyncDispatcherLate', remedy => $mend, with => [ 'EventsyncCommitsSlow' ],
        drive => sub { $_[0] eq 'cause'
            && $t->replace_file('fault', "hang delivery\nslow store/log\n") });

    $t->ctl_ok('partner', 'change', 'acme', '--publish=orders');
    my $key = $t->partner_key('acme', scopes => 'publish');
    $t->background('producer', sub {
        do {
            $t->http(POST => '/v1/feeds/orders/events', { authorization => "Bearer $key",
                'content-type' => 'application/cloudevents+json' }, $t->event);
        } while !$t->told_to_end && sleep 0.2;
    });
    alert($s, 'EventsyncCommitsSlow', remedy => $mend, with => [ 'EventsyncDispatcherLate' ],
        check => qr{/maps});
}
