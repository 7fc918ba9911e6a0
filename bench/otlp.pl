# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what the export of spans costs.

use warnings;
use strict;

our ($t, $build, $rounds, $seconds, %opt);

# The share of the publishes, or events, of which spans are sent.
my %shares = (off => undef, 'one in 100' => '0.01', all => 1);

# The processor time of a publish in the worker, and of a delivery in the
# dispatcher, while spans go to a collector that takes them all.
sub otlp {
    my $url = collector();
    my %sides = (
        'publish-single' => { map { my $share = $shares{$_};
            ($_ => published_with($url, $share)) } keys %shares },
        'dispatch' => { map { my $share = $shares{$_};
            ($_ => dispatched_with($url, $share)) } keys %shares },
    );
    my @worst;
    for my $work (sort keys %sides) {
        my $v = alternate($rounds, %{ $sides{$work} });
        table('microseconds of processor time a unit',
            map { ["$work, spans of $_", $v->{$_}] } 'off', 'one in 100', 'all');
        printf "  %s, spans of all: %.2f (min %.2f, max %.2f)\n", $work,
            @{ ratio($v->{all}, $v->{off}) };
        printf "  %s, spans of %s: %s\n", $work, $_, fate_of("$work, $_")
            for 'one in 100', 'all';
        my $ratio = ratio($v->{'one in 100'}, $v->{off});
        verdict("otlp ($work)", $ratio, '<= 1.03');
        push @worst, $ratio;
    }
    my ($worst) = sort { $b->[0] <=> $a->[0] } @worst;
    verdict('otlp', $worst, '<= 1.03', 'the higher of both');
}

# What became of the spans of a side, as the metrics of its store have it.
our %systems;

sub remember {
    my ($work, $share, $system) = @_;
    my ($name) = grep { ($shares{$_} // '') eq ($share // '') } keys %shares;
    $systems{"$work, $name"} = $system;
}

sub fate_of {
    my ($name) = @_;
    my $shown = $systems{$name};

    # The nginx of deliveries has only counted them.
    if ($name =~ /^dispatch/) {
        $shown = Test::Eventsync->new(workers => 1);
        $shown->{store} = $systems{$name}->store;
        $shown->default_conf;
        $shown->run_nginx;
    }
    my %n;
    my $text = $shown->http(GET => '/ops/metrics')->{body};
    $n{$1} += $2
        while $text =~ /^eventsync_otlp_spans_total\{.*result="(\w+)"\} (\d+)$/mg;
    return join ', ', map { "$n{$_} $_" } grep { $n{$_} } sort keys %n;
}

# Starts an nginx that takes spans, in a directory of its own.
sub collector {
    our $collector = Test::Eventsync->new(workers => 1);
    $collector->write_file_expand('nginx.conf', <<'CONF');
worker_cpu_affinity 10;
events { }
http {
    client_max_body_size 16m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /v1/traces {
            default_type application/json;
            return 200 '{"partialSuccess":{}}';
        }
    }
}
CONF
    $collector->run_nginx;
    return 'http://127.0.0.1:' . $collector->port(0);
}

# Microseconds of the worker's time for a publish of one event, 64 at once.
sub published_with {
    my ($url, $share) = @_;
    my $system = Test::Eventsync->new(workers => 1);
    local $t = $system;
    remember('publish-single', $share, $system);
    my ($key) = serve(0, main => ' ', defined $share
        ? (http => "eventsync_otlp $url share=$share;") : ());
    my $file = request_file($key, 1);

    return sub {
        local $t = $system;
        my (undef, $cpu) = worked([$system->workers], sub {
            publish_rate($file, 64, 1, $system->port(0)) });
        return $cpu;
    };
}

# Microseconds of the dispatcher's time for a delivery to one endpoint.
sub dispatched_with {
    my ($url, $share) = @_;
    my $total = $opt{events} || ($opt{quick} ? 20_000 : 100_000);
    my $system = Test::Eventsync->new(workers => 1);
    local $t = $system;
    remember('dispatch', $share, $system);
    my $hook = sink();
    prepare($total);

    return sub {
        local $t = $system;
        my $name = $t->endpoint('bench', url => $hook, feeds => 'bench',
            ordering => 'none', start => 'oldest', in_flight => 32);
        my $cpu;
        delivery_rate($total, options => [ defined $share
            ? ("--otlp=$url", "--otlp-share=$share") : () ],
            at_end => sub { $cpu = cpu_seconds($t->{dispatcher}->pid) });
        $t->ctl_ok('endpoint', 'remove', $name);
        return 1e6 * $cpu / $total;
    };
}

1;
