# SPDX-License-Identifier: BSD-2-Clause

# Benchmarks of bench/run beside what teams use instead.

use warnings;
use strict;

use Time::HiRes qw(sleep time);

use Test::Eventsync qw(wait_for);

our ($t, $build, $rounds, $seconds, %opt);

# The peers, which npm installs into the test's directory.
my %PACKAGES = (
    'push-peer' => [qw(bullmq@5.81.5 undici@6.29.1 standardwebhooks@1.0.0)],
    'pull-peer' => [qw(@durable-streams/server@0.3.7)],
);

# From publish to delivered, signed and recorded, beside BullMQ on Redis: events
# per second until the last one of them is done.  BullMQ gets a fifth of the
# events, because each takes about ten times as long.
sub push_peer {
    my $total = $opt{events} || ($opt{quick} ? 5000 : 50_000);
    my $dir = peer_packages('push-peer') or return;
    my $port = peer_redis() // return skipped('push-peer',
        'there is no redis-server');
    my $url = sink();
    my $run = 0;

    prepare(0);
    $t->endpoint('bench', url => $url, feeds => 'bench', ordering => 'none',
        in_flight => 32);
    ready();
    my $v = alternate($rounds,
        ours => sub { published_and_delivered($total, 'peer' . $run++) },
        bullmq => sub { node($dir, 'peer_bullmq.cjs', $port, $url,
            $opt{quick} ? $total : $total / 5, 32)->{rate} });
    stop();
    table('events/s, published, delivered, signed and recorded',
        ['eventsync', $v->{ours}], ['BullMQ, Redis, undici', $v->{bullmq}]);
    verdict('push-peer', ratio($v->{ours}, $v->{bullmq}), '>= 12');
}

sub published_and_delivered {
    my ($total, $prefix) = @_;
    my $base = taken();
    my $began = time();

    program($build, 'grow', '--store', $t->store, '--feed', 'bench',
        '--events', $total, '--size', 80, '--prefix', $prefix);
    until (taken() - $base >= $total) {
        die "not delivered in 120 s\n" if time() - $began > 120;
        sleep 0.005;
    }
    return $total / (time() - $began);
}

# Reads of 100 events from the same position again and again, beside the server
# of Durable Streams, file-backed, and beside Redis Streams over its protocol.
sub pull_peer {
    my $total = $opt{quick} ? 2000 : 20_000;
    my ($key, $base) = serve($total, http => 'access_log off;');
    my $feed = $t->json_get('/v1/feeds/bench', $key) or die "no feed\n";
    my $after = sprintf '%s-%d', $feed->{epoch}, $total - 100;
    my @auth = (headers => ["Authorization: Bearer $key"]);
    my %sides = (ours => sub { wrk(seconds => $seconds, @auth,
        url => "$base/v1/feeds/bench/events?after=$after&limit=100") });
    my @events = split /\n/, $t->ctl_ok('tail', 'bench');
    my $file = $t->write_file('events', join '', map { "$_\n" } @events);

    if (my $url = peer_streams($file)) {
        $sides{streams} = sub { wrk(seconds => $seconds, url => $url) };
    }
    if (my $port = peer_redis()) {
        fill_redis($port, @events);
        $sides{redis} = sub { redis_rate($port, $total) };
    }
    else {
        print "  Redis Streams: skipped, because there is no redis-server\n";
    }
    my $v = alternate($rounds, %sides);
    my %names = (ours => 'eventsync', streams => 'Durable Streams, file-backed',
        redis => 'Redis Streams, XRANGE');
    table('reads/s of 100 events', map { [$names{$_}, $v->{$_}] } sort keys %sides);
    printf "  beside Redis Streams: %.2f (min %.2f, max %.2f)\n",
        @{ ratio($v->{ours}, $v->{redis}) } if $v->{redis};
    verdict('pull-peer', ratio($v->{ours}, $v->{streams}), '>= 40')
        if $v->{streams};
}

# Starts the server of Durable Streams with these events; returns the URL of the
# last hundred, or nothing if npm cannot get it.
sub peer_streams {
    my ($file) = @_;
    my $packages = peer_packages('pull-peer') or return;
    my $data = $t->testdir . '/streams';

    mkdir $data;
    my $proc = $t->start('streams', { env => { NODE_PATH => $packages } }, 'node',
        "$FindBin::Bin/peer_streams.cjs", $t->free_port, $data, $file);
    wait_for(sub { $proc->stdout =~ /^\{"url"/m || !$proc->running }, 60);
    $proc->stdout =~ /^(\{"url".*\})$/m
        or die 'the Durable Streams server failed: ' . $proc->stderr . "\n";
    return JSON::PP::decode_json($1)->{url};
}

# Adds the events to a stream, with their numbers as ids.
sub fill_redis {
    my ($port, @events) = @_;
    my $n = 0;

    open my $fh, '|-', "redis-cli -p $port --pipe >/dev/null"
        or die "redis-cli: $!\n";
    for my $event (@events) {
        my @args = ('XADD', 'bench', ++$n . '-1', 'e', $event);
        print {$fh} '*', scalar @args, "\r\n",
            map { '$' . length($_) . "\r\n$_\r\n" } @args;
    }
    close $fh or die "redis-cli failed\n";
}

sub redis_rate {
    my ($port, $total) = @_;
    my @cmd = ('redis-benchmark', '-p', $port, '-n', 5000 * $seconds, qw(-c 32
        --csv XRANGE bench), $total - 99, qw(+ COUNT 100));
    my $out = `@cmd`;

    $out =~ /^"XRANGE [^"]*","([\d.]+)"/m or die "redis-benchmark failed\n$out\n";
    return $1;
}

sub skipped {
    my ($name, $why) = @_;
    print "$name: skipped, because $why (no target)\n";
    return;
}

# The directory of the packages of a benchmark; nothing if npm cannot get them.
sub peer_packages {
    my ($name) = @_;
    my $dir = $t->testdir . "/$name";

    mkdir $dir;
    return "$dir/node_modules" if system("timeout 90 npm install --prefix $dir "
        . "--no-save --no-audit --no-fund --ignore-scripts @{ $PACKAGES{$name} } "
        . ">$dir/log 2>&1") == 0;
    return skipped($name, "npm cannot install @{ $PACKAGES{$name} }");
}

# Starts a Redis that syncs its log each second; nothing if there is none.
sub peer_redis {
    my $port = $t->free_port;
    my $dir = $t->testdir . '/redis';

    return if system('command -v redis-server >/dev/null') != 0;
    mkdir $dir;
    $t->start('redis', {}, 'redis-server', '--port', $port, '--bind',
        '127.0.0.1', '--dir', $dir, qw(--appendonly yes --save), '',
        qw(--appendfsync everysec --maxmemory-policy noeviction));
    wait_for(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") })
        or die "redis-server does not listen\n";
    return $port;
}

# Runs a program of this directory by Node, and decodes its line.
sub node {
    my ($packages, $script, @args) = @_;
    local $ENV{NODE_PATH} = $packages;

    open my $fh, '-|', 'node', "$FindBin::Bin/$script", @args
        or die "node: $!\n";
    my $line = do { local $/; <$fh> };
    close $fh or die "$script failed\n";
    taken();
    return JSON::PP::decode_json($line);
}

1;
