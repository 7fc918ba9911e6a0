#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What can be tested of the Debian packages without building them: versions,
# translations, the unit, and the refusal of stores that cannot be read.
# t/package.pl tests the built packages.

use warnings;
use strict;

use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);

sub slurp { my ($name) = @_; open my $fh, '<', $name or die "$name: $!\n";
    local $/; return <$fh> }
sub write_file { my ($name, $text) = @_; open my $fh, '>', "$dir/$name"
    or die "$name: $!\n"; print $fh $text; close $fh }
sub there { return system("command -v $_[0] >/dev/null 2>&1") == 0 }

versions();
dependencies();
translations();
unit();
refusal();

done_testing();

###############################################################################

sub versions {
    my ($version) = slurp('shared/include/eventsync.h')
        =~ /^#define ES_VERSION +"(.*)"$/m;
    my ($changelog) = slurp('debian/changelog') =~ /\A\S+ \((.*?)\)/;
    is($changelog, $version, 'debian/changelog has the version of the header');
    my ($format) = slurp('shared/open/open.c')
        =~ /^#define ES_STORE_VERSION +(\d+)$/m;
    ok($format, 'debian/rules finds the format of the store');
}

# A clean build has all that a build on this machine has.
sub dependencies {
    my ($list) = slurp('debian/control') =~ /^Build-Depends: (.*?)^\S/ms;
    my %depends = map { /(\S+)/ ? ($1 => 1) : () } split /,/, $list;
    my ($packages) = slurp('install-deps.sh') =~ /^packages="(.*?)"/ms;
    my @missing = grep { /^(?:lib(?!test).*|zlib1g)-dev$/ && !$depends{$_} }
        split ' ', $packages;
    is_deeply(\@missing, [], 'debian/control has each library');
}

sub translations {
  SKIP: {
    skip 'no debconf-updatepo', 2 if !there('debconf-updatepo');
    is(system("cp -r debian $dir/"), 0, 'a copy of debian/');
    my $text = sub { slurp("$_[0]/po/templates.pot") =~ s/^"POT-Creat.*\n//mr };
    system("cd $dir/debian && debconf-updatepo --podir=po >/dev/null 2>&1");
    is($text->("$dir/debian"), $text->('debian'),
        'debian/po is what debconf-updatepo makes');
  }
}

# How much a unit may do, as docs/operations.md has it.
sub unit {
  SKIP: {
    skip 'no systemd-analyze', 3 if !there('systemd-analyze');
    my ($bound) = slurp('docs/operations.md')
        =~ /exposure\s+level\s.*?below\s+(\d+\.\d)/s or die;
    my $unit = 'debian/eventsync-dispatcher.service';
    my $out = `systemd-analyze security --offline=yes --no-pager \\
        --threshold=@{[$bound * 10]} $unit 2>&1`;
    is($?, 0, "the unit's exposure level is below $bound") or diag($out);

    my $text = slurp($unit) =~ s{=/usr/sbin/eventsync-dispatcher}{=/bin/true}r
        =~ s/^Documentation=.*\n//mr;
    write_file('eventsync-dispatcher.service', $text);
    $out = `systemd-analyze verify --man=no $dir/eventsync-dispatcher.service 2>&1`;
    is($out, '', 'systemd understands each line of it');

    my $help = `\${BUILD:-build}/eventsync-dispatcher --help`;
    my @unknown = grep { $help !~ /^  \Q$_\E\b/m }
        $text =~ /^ExecStart=.*/m ? $& =~ /(--[a-z-]+)/g : die;
    is_deeply(\@unknown, [], 'the dispatcher has each option of it');
  }
}

# The preinst of each program, with other places.
sub refusal {
    mkdir "$dir/$_" for qw(nginx systemd systemd/eventsync-dispatcher.service.d),
        map { "store$_" } 3 .. 5;
    write_file("store$_/format", "eventsync-store $_\nidentity 0\n")
        for 3 .. 5;
    my $script = slurp('debian/refuse-store.sh')
        =~ s{/etc/nginx}{$dir/nginx}r =~ s{/etc/systemd/system}{$dir/systemd}r;
    my $preinst = sub {
        my ($default) = @_;
        write_file('preinst', "set -e\nreads=4\n"
            . $script =~ s{/var/lib/eventsync}{$dir/$default}r);
        local $ENV{DPKG_MAINTSCRIPT_PACKAGE} = 'eventsync-tools';
        return map { $_ => `sh $dir/preinst $_ 2>&1` . ($? >> 8) }
            qw(install upgrade abort-upgrade);
    };
    my %ok = map { $_ => '0' } qw(install upgrade abort-upgrade);

    is_deeply({ $preinst->('none') }, \%ok, 'no store: it installs');
    is_deeply({ $preinst->('store4') }, \%ok, 'a store that it reads, too');
    for my $format (3, 5) {
        my %said = $preinst->("store$format");
        like($said{$_}, qr/\Aeventsync-tools: "$dir\/store$format" is a store of format $format\.\n.*read format 4.*1\z/s,
            "format $format: it refuses to $_") for qw(install upgrade);
        is($said{'abort-upgrade'}, '0', 'and lets dpkg clean up');
    }

    for ('eventsync_store %s;', '  eventsync_store "%s";',
        "http { }\neventsync_store\t'%s' zone_size=1m;")
    {
        write_file('nginx/nginx.conf', sprintf $_, "$dir/store5");
        my %said = $preinst->('store4');
        like($said{upgrade}, qr/store5" is a store of format 5.*1\z/s,
            "nginx's store: $_");
    }
    write_file('nginx/nginx.conf', "# eventsync_store $dir/store5;");
    is_deeply({ $preinst->('store4') }, \%ok, 'but not one in a comment');
    write_file('systemd/eventsync-dispatcher.service.d/a.conf',
        "[Service]\nExecStart=\nExecStart=eventsync-dispatcher"
        . " --store=$dir/store3 --allow-http\n");
    my %said = $preinst->('store4');
    like($said{upgrade}, qr/store3" is a store of format 3.*1\z/s,
        'the dispatcher\'s store by its unit');
}
