# SPDX-License-Identifier: BSD-2-Clause

# Packed history beside plain history, for bench/run: bytes on disk, pages,
# backfill, publishing while the dispatcher packs, and filtered polls.  The
# events are the orders of bench/orders.h.

use warnings;
use strict;

use JSON::PP;
use Time::HiRes qw(sleep);

our ($t, $build, $rounds, $seconds, %opt);

# Starts a system that serves orders from a store of its own.  Options: pack;
# batch, the events of a commit.
sub ordered {
    my ($events, %opts) = @_;
    my $g = Test::Eventsync->new(workers => 1);

    local $t = $g;
    $g->store_init->feed('bench', pack => $opts{pack} ? 'on' : 'off');
    my $made = program($build, 'grow', '--store', $g->store, '--feed', 'bench',
        '--events', $events, '--orders', 7, '--batch', $opts{batch} // 1000,
        $opts{pack} ? ('--pack', 1) : ());
    my ($key) = serve_store(location => 'eventsync_backfill on;');
    my ($text) = $g->ctl_ok('feed', 'show', 'bench') =~ /"bytes":(\d+)/
        or die "no bytes\n";
    my $disk = on_disk($g->store . '/log') + on_disk($g->store . '/ids');
    printf "  %d events in %.1f s, %.1f MB of text, log/ and ids/ %.1f MB\n",
        $events, $made->{seconds}, map { $_ / 1e6 } $text, $disk;
    printf "  of them %d are packed, in records of %.1f MB\n",
        $made->{packed}, $made->{packed_bytes} / 1e6 if $opts{pack};
    return { t => $g, key => $key, port => $g->port(0), events => $events,
        text => $text, disk => $disk };
}

# Bytes of the blocks that a directory takes on disk.
sub on_disk {
    my ($dir) = @_;
    my ($bytes) = `du -s -B1 $dir` =~ /^(\d+)/ or die "no $dir\n";
    return $bytes;
}

sub packed {
    my $events = $opt{events} || ($opt{quick} ? 100_000 : 1_000_000);
    my $single = $opt{quick} ? 2_000 : 100_000;
    my %side = (
        plain => ordered($events),
        packed => ordered($events, pack => 1),
        single => ordered($single, batch => 1),
    );
    my $v = packed_pages(\%side, $events, $single);
    my @filtered = packed_filters(\%side);
    my $limited = packed_limited(\%side);
    my $backfill = alternate($rounds, map { my $n = $_;
        ($n => sub { backfill_rate($side{$n}) }) } qw(plain packed));
    table('events/s', map { ["backfill, $_", $backfill->{$_}] }
        qw(plain packed));
    $_->{t}->stop_nginx for values %side;
    my $publish = packed_publish();

    print "  filtered polls, packed to plain: $_\n" for @filtered;
    peer_sizes($side{plain});
    verdict('packed (page)', ratio($v->{packed}, $v->{plain}), '>= 0.6');
    verdict('packed (page, one by one)', ratio($v->{packed}, $v->{single}),
        '>= 1.2');
    verdict('packed (page, a third in memory)',
        ratio($limited->{packed}, $limited->{plain}), '>= 2') if $limited;
    verdict('packed (backfill)',
        ratio($backfill->{packed}, $backfill->{plain}), '>= 0.8');
    verdict('packed (publish)',
        ratio($publish->{packing}, $publish->{idle}), '>= 0.95');
    my $size = $side{packed}{disk} / $side{packed}{text};
    verdict('packed', [ ($size) x 3 ], '<= 0.3', 'bytes on disk to text');
}

sub packed_pages {
    my ($side, $events, $single) = @_;

    # The first requests map the pages, and are not counted.
    page_rate($_) for values %$side;
    my $v = alternate($rounds, map { my $n = $_;
        ($n => sub { page_rate($side->{$n}) }) } keys %$side);
    table('pages/s, all in memory', ["plain, $events events", $v->{plain}],
        ["packed, $events events", $v->{packed}],
        ["plain, one to a commit, $single", $v->{single}]);
    return $v;
}

# One type in 5 or so, and a customer that has many orders.
sub packed_filters {
    my ($side) = @_;
    my @stated;

    for my $filter ('types=order.delivered', 'subject=customer/10001') {
        my $v = alternate($rounds, map { my $n = $_;
            ($n => sub { page_rate($side->{$n}, "&$filter") }) }
            qw(plain packed));
        push @stated, sprintf '%s: %.2f (min %.2f, max %.2f)', $filter,
            @{ ratio($v->{packed}, $v->{plain}) };
    }
    return @stated;
}

# Both workers in turn may use a third of the memory that the plain history
# needs.
sub packed_limited {
    my ($side) = @_;
    my $limit = int($side->{plain}{disk} / 3);
    my ($group, $why) = memory_group($limit);

    if (!$group) {
        print "  a third in memory: skipped, $why\n";
        return;
    }
    my $limited = sub {
        my ($n) = @_;
        my $s = $side->{$n};
        my ($pid) = $s->{t}->workers;
        $s->{t}->reload;
        wait_for(sub { ($s->{t}->workers)[0] != $pid
            && $s->{t}->workers == 1 }) or die "no new worker\n";
        drop_cache($s->{t}->store . '/log/data.mdb');
        $group->add($s->{t}->workers);
        my $rate = page_rate($s);
        $group->leave($s->{t}->workers);
        return $rate;
    };
    my $v = alternate($rounds, map { my $n = $_;
        ($n => sub { $limited->($n) }) } qw(plain packed));
    table(sprintf('pages/s in %.0f MB', $limit / 1e6),
        ['plain', $v->{plain}], ['packed', $v->{packed}]);
    return $v;
}

# Takes the pages of a file out of memory; no process may have mapped them.
sub drop_cache {
    system('dd', 'status=none', "of=$_[0]", 'oflag=nocache',
        'conv=notrunc,fdatasync', 'count=0', 'if=/dev/null') == 0
        or die "dd failed\n";
}

sub backfill_rate {
    my ($s) = @_;
    local $t = $s->{t};
    my $result = program($build, { core => cores() > 1 ? 1 : 0 }, 'drain',
        '--port', $s->{port}, '--last', '"complete":true', '--request',
        drain_request($s->{key}, '/v1/feeds/bench/backfill'));
    return $s->{events} / $result->{seconds};
}

# Publishes with 64 producers, while a dispatcher packs what they publish, and
# while it has nothing to pack.
sub packed_publish {
    my %side;
    for my $name (qw(packing idle)) {
        my $g = Test::Eventsync->new(workers => 1);
        local $t = $g;
        $g->store_init->feed('bench', pack => $name eq 'idle' ? 'off' : 'on');
        my ($key) = serve_store(main => ' ');
        $g->run_dispatcher;
        $side{$name} = { t => $g, file => order_request($key) };
    }
    my $rate = sub {
        my ($s) = @_;
        local $t = $s->{t};
        return publish_rate($s->{file}, 64, 1);
    };
    $rate->($_) for values %side;
    my %behind;
    my $v = alternate($rounds, map { my $n = $_;
        ($n => sub {
            my $result = $rate->($side{$n});
            push @{ $behind{$n} }, unpacked($side{$n}{t}) if $n eq 'packing';
            return $result;
        }) } keys %side);
    table('events/s', ['64 producers, packing', $v->{packing}],
        ['the same, nothing packed', $v->{idle}]);
    table('events that wait for packing at the end of a round',
        ['packing', $behind{packing}]);
    $_->{t}->stop_dispatcher, $_->{t}->stop_nginx for values %side;
    return $v;
}

# Packs what the dispatcher has not packed yet; returns how many events.
sub unpacked {
    my ($g) = @_;
    return program($build, 'grow', '--store', $g->store, '--feed', 'bench',
        '--events', 0, '--pack', 1)->{packed};
}

# Writes a request with an order of random digits.
sub order_request {
    my ($key) = @_;
    my $uuid = '~~~~~~~~-~~~~-4~~~-8~~~-~~~~~~~~~~~~';
    my $body = qq({"specversion":"1.0","id":"$uuid","source":"/shop",)
        . qq("type":"order.created","time":"2025-12-01T09:10:00.###Z",)
        . qq("subject":"customer/1####","data":{"order":"$uuid",)
        . q("name":"Katharina Kowalski","total":"1###.10","currency":"EUR",)
        . q("lines":[{"sku":"SKU-1####","quantity":1,"price":"1###.10"}]}});
    return $t->write_file('order', join "\r\n",
        'POST /v1/feeds/bench/events HTTP/1.1', 'Host: localhost',
        "Authorization: Bearer $key",
        'Content-Type: application/cloudevents+json',
        'Content-Length: ' . length($body), '', $body);
}

###############################################################################
# a group of processes with a limit of memory, by cgroup version 1 or 2

package Bench::MemoryGroup {
    sub add { Bench::MemoryGroup::spew("$_[0]{dir}/cgroup.procs", $_)
        for @_[1 .. $#_] }
    sub leave { Bench::MemoryGroup::spew("$_[0]{parent}/cgroup.procs", $_)
        for @_[1 .. $#_] }

    sub spew {
        my ($file, $text) = @_;
        open my $fh, '>', $file or return "$file: $!";
        print {$fh} $text;
        return close $fh ? '' : "$file: $!";
    }

    sub DESTROY {
        my ($self) = @_;
        local ($?, $!);
        my @left = split ' ', Bench::slurp("$self->{dir}/cgroup.procs");
        $self->leave(@left);
        rmdir $self->{dir} or warn "$self->{dir}: $!\n";
    }
}

# The group, or nothing and the reason.  It is removed with the last reference.
sub memory_group {
    my ($limit) = @_;
    my ($parent, $file);

    for (split /\n/, Bench::slurp('/proc/mounts')) {
        my (undef, $dir, $type, $options) = split ' ';
        if ($type eq 'cgroup' && ",$options," =~ /,memory,/) {
            ($parent, $file) = ($dir, 'memory.limit_in_bytes');
        }
        elsif ($type eq 'cgroup2'
            && Bench::slurp("$dir/cgroup.controllers") =~ /\bmemory\b/)
        {
            Bench::MemoryGroup::spew("$dir/cgroup.subtree_control", '+memory');
            ($parent, $file) = ($dir, 'memory.max');
        }
    }
    return (undef, 'no cgroup that limits memory') unless $parent;
    my $dir = "$parent/eventsync-bench-$$";
    mkdir $dir or return (undef, "$dir: $!");
    my $self = bless { dir => $dir, parent => $parent }, 'Bench::MemoryGroup';
    my $error = Bench::MemoryGroup::spew("$dir/$file", $limit);
    return $error ? (undef, $error) : $self;
}

1;
